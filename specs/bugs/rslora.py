"""Known mistakes in rank-stabilised LoRA: the scale here, the rest shared with LoRA in _low_rank."""

from harness.core.mistake import KnownMistake
from reference_model.lora import lora, rslora
from specs.bugs._low_rank import SHARED, UPDATE

SCALE = "scale = self.alpha / math.sqrt(self.rank)"

MISTAKES = (
    KnownMistake("alpha_over_rank", "The scale is alpha / r: that is plain LoRA. Rank-stabilised LoRA uses alpha / sqrt(r).",
        rslora.scale, SCALE, "scale = self.alpha / self.rank"),
    KnownMistake("scaled_by_alpha", "The scale is alpha. The division by sqrt(r) is missing.", rslora.scale, SCALE, "scale = self.alpha"),
    KnownMistake("one_over_root_of_rank", "The scale is 1 / sqrt(r): alpha is not used.", rslora.scale, SCALE, "scale = 1.0 / math.sqrt(self.rank)"),
    KnownMistake("scale_forgotten", "B A x is not scaled. Rank-stabilised LoRA multiplies it by alpha / sqrt(r).", rslora.scale, SCALE, "scale = 1.0"),
    KnownMistake("root_of_alpha_over_rank", "The square root covers the whole quotient. It must cover only the rank: alpha / sqrt(r).",
        rslora.scale, SCALE, "scale = math.sqrt(self.alpha / self.rank)"),
    KnownMistake("alpha_over_rank_squared", "The scale is alpha / r^2. Rank-stabilised LoRA takes the square root of the rank: alpha / sqrt(r).",
        rslora.scale, SCALE, "scale = self.alpha / self.rank ** 2"),
    KnownMistake("alpha_times_root_of_rank", "The scale multiplies by sqrt(r). It must divide: alpha / sqrt(r).", rslora.scale, SCALE, "scale = self.alpha * math.sqrt(self.rank)"),
    KnownMistake("root_of_rank_over_alpha", "The scale is inverted: sqrt(r) / alpha. It is alpha / sqrt(r).", rslora.scale, SCALE, "scale = math.sqrt(self.rank) / self.alpha"),
    KnownMistake("root_taken_twice", "The square root of the rank is taken twice: alpha / r^(1/4). It is alpha / sqrt(r).", rslora.scale, SCALE, "scale = self.alpha / self.rank ** 0.25", aliases=("root_twice",)),
    KnownMistake("root_floored", "The square root of the rank is rounded down to an integer. That is right only for ranks 1, 4, 9, 16, ...",
        rslora.scale, SCALE, "scale = self.alpha / math.isqrt(self.rank)"),
    KnownMistake("alpha_over_root_of_inputs", "The scale divides by the square root of the number of inputs. Use the square root of the rank.",
        rslora.scale, SCALE, "scale = self.alpha / math.sqrt(self.a.shape[1])"),
    KnownMistake("alpha_over_root_of_outputs", "The scale divides by the square root of the number of outputs. Use the square root of the rank.",
        rslora.scale, SCALE, "scale = self.alpha / math.sqrt(self.b.shape[0])"),
    KnownMistake("merged_with_the_lora_scale", "forward() scales by alpha / sqrt(r), but merge() scales by alpha / r. Both must use alpha / sqrt(r).",
        lora.update, UPDATE, "return product * (self.alpha / self.rank)",
        seen_in=("huggingface/peft@20a9829f76419149f5e447b856bc0abe865c28a7",), aliases=("merged_with_the_plain_scale",)),
    KnownMistake("scale_of_the_first_layer", "The scale of the first layer built is used for every layer. Rank and alpha may differ between layers.",
        rslora.scale, SCALE, 'scale = rslora.scale.__dict__.setdefault("first", self.alpha / math.sqrt(self.rank))'),
    *SHARED,
)
