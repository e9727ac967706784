"""Known mistakes in rank-stabilised LoRA: the scale here, the rest in what both adapters share."""

from harness.core.mistake import KnownMistake
from reference_model.lora import lora, rslora
from specs.bugs._low_rank import SHARED, UPDATE

SCALE = "scale = self.alpha / math.sqrt(self.rank)"

MISTAKES = (
    KnownMistake("alpha_over_rank", "You scale by alpha / r: that is plain LoRA. The rank-stabilised form scales by alpha / sqrt(r).",
        rslora.scale, SCALE, "scale = self.alpha / self.rank"),
    KnownMistake("scaled_by_alpha", "You scale by alpha; the division by sqrt(r) is missing.", rslora.scale, SCALE, "scale = self.alpha"),
    KnownMistake("one_over_root_of_rank", "You scale by 1 / sqrt(r): alpha is not used.", rslora.scale, SCALE, "scale = 1.0 / math.sqrt(self.rank)"),
    KnownMistake("scale_forgotten", "B A x is not scaled: rank-stabilised LoRA multiplies it by alpha / sqrt(r).", rslora.scale, SCALE, "scale = 1.0"),
    KnownMistake("root_of_alpha_over_rank", "The root is over the whole quotient; it must be over the rank alone: alpha / sqrt(r).",
        rslora.scale, SCALE, "scale = math.sqrt(self.alpha / self.rank)"),
    KnownMistake("alpha_over_rank_squared", "You square the rank; the rank-stabilised form takes its root: alpha / sqrt(r).",
        rslora.scale, SCALE, "scale = self.alpha / self.rank ** 2"),
    KnownMistake("alpha_times_root_of_rank", "You multiply by sqrt(r); it must divide.", rslora.scale, SCALE, "scale = self.alpha * math.sqrt(self.rank)"),
    KnownMistake("root_of_rank_over_alpha", "You scale by sqrt(r) / alpha: the wrong way round.", rslora.scale, SCALE, "scale = math.sqrt(self.rank) / self.alpha"),
    KnownMistake("root_twice", "You take the root of the rank twice: alpha / r^(1/4).", rslora.scale, SCALE, "scale = self.alpha / self.rank ** 0.25"),
    KnownMistake("root_floored", "The root of the rank is cut to a whole number, right for ranks 1, 4, 9, 16 only.",
        rslora.scale, SCALE, "scale = self.alpha / math.isqrt(self.rank)"),
    KnownMistake("alpha_over_root_of_inputs", "You divide by the root of the number of inputs; it must be the root of the rank.",
        rslora.scale, SCALE, "scale = self.alpha / math.sqrt(self.a.shape[1])"),
    KnownMistake("alpha_over_root_of_outputs", "You divide by the root of the number of outputs; it must be the root of the rank.",
        rslora.scale, SCALE, "scale = self.alpha / math.sqrt(self.b.shape[0])"),
    KnownMistake("merged_with_the_plain_scale", "forward() scales by alpha / sqrt(r), but merge() by alpha / r: wherever the scale is computed, the root belongs.",
        lora.update, UPDATE, "return product * (self.alpha / self.rank)",
        seen_in=("huggingface/peft@20a9829f76419149f5e447b856bc0abe865c28a7",)),
    KnownMistake("scale_of_the_first_layer", "The scale of the first layer built is used for all: rank and alpha may differ from layer to layer.",
        rslora.scale, SCALE, 'scale = rslora.scale.__dict__.setdefault("first", self.alpha / math.sqrt(self.rank))'),
    *SHARED,
)
