"""Known mistakes in LoRA: those in the scale; the others are shared by both low-rank adapters."""

from harness.core.mistake import KnownMistake
from reference_model.lora import lora
from specs.bugs._low_rank import SHARED

SCALE = "scale = self.alpha / self.rank"

MISTAKES = (
    KnownMistake("alpha_over_root_of_rank", "You scale by alpha / sqrt(r), which is rank-stabilised LoRA. LoRA scales by alpha / r.",
        lora.scale, SCALE, "scale = self.alpha / math.sqrt(self.rank)"),
    KnownMistake("scaled_by_alpha", "You scale by alpha. Divide by the rank: LoRA scales by alpha / r.", lora.scale, SCALE, "scale = self.alpha"),
    KnownMistake("scaled_by_one_over_rank", "You scale by 1 / r. alpha is not used.", lora.scale, SCALE, "scale = 1.0 / self.rank"),
    KnownMistake("scale_forgotten", "B A x is not scaled. LoRA scales it by alpha / r.", lora.scale, SCALE, "scale = 1.0"),
    KnownMistake("root_of_alpha_over_rank", "You scale by sqrt(alpha / r). LoRA scales by alpha / r.",
        lora.scale, SCALE, "scale = math.sqrt(self.alpha / self.rank)"),
    KnownMistake("root_of_alpha", "You scale by sqrt(alpha) / r. LoRA scales by alpha / r.",
        lora.scale, SCALE, "scale = math.sqrt(self.alpha) / self.rank"),
    KnownMistake("alpha_over_rank_squared", "You divide by the rank twice. LoRA scales by alpha / r.", lora.scale, SCALE, "scale = self.alpha / self.rank ** 2"),
    KnownMistake("alpha_times_rank", "You multiply alpha by the rank. LoRA divides by it.", lora.scale, SCALE, "scale = self.alpha * self.rank"),
    KnownMistake("rank_over_alpha", "You scale by r / alpha. LoRA scales by alpha / r.", lora.scale, SCALE, "scale = self.rank / self.alpha"),
    KnownMistake("alpha_floored_by_rank", "alpha // r rounds down to an integer. LoRA scales by alpha / r.",
        lora.scale, SCALE, "scale = self.alpha // self.rank"),
    KnownMistake("alpha_over_inputs", "You divide alpha by the number of inputs. Divide by the rank.",
        lora.scale, SCALE, "scale = self.alpha / self.a.shape[1]"),
    KnownMistake("alpha_over_outputs", "You divide alpha by the number of outputs. Divide by the rank.",
        lora.scale, SCALE, "scale = self.alpha / self.b.shape[0]"),
    KnownMistake("alpha_over_the_smaller_side", "You divide alpha by min(in, out), the largest rank W can have. Divide by the rank of the adapter.",
        lora.scale, SCALE, "scale = self.alpha / min(self.a.shape[1], self.b.shape[0])"),
    KnownMistake("alpha_fixed_at_16", "You scale by 16 / r. alpha is an argument.", lora.scale, SCALE, "scale = 16.0 / self.rank"),
    KnownMistake("scale_of_the_first_layer", "The scale of the first layer is used for all layers. Rank and alpha may differ from layer to layer.",
        lora.scale, SCALE, 'scale = lora.scale.__dict__.setdefault("first", self.alpha / self.rank)'),
    *SHARED,
)
