"""Known mistakes in fake quantization."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.fake_quantize import fake_quantize

forward, observe, scale_and_zero = fake_quantize.forward, fake_quantize.observe, fake_quantize.scale_and_zero

SEEN = "self.observe(x.detach())"
IN_TRAINING = "if self.training:"
STEPS = "steps = torch.round(x / scale)"
CODES = "codes = steps + zero"
CLAMPED = "clamped = codes.clamp(lowest, highest)"
ROUNDED = "rounded = (clamped - zero) * scale"
INSIDE = "inside = (codes >= lowest) & (codes <= highest)"
PASSED = "passed = torch.where(inside, x, x.detach())"
RESULT = "return passed + (rounded - passed).detach()"
EXTREMES = "low, high = x.amin(), x.amax()"
FIRST = "self.low, self.high = low, high"
LOW, HIGH = "self.low = self.low + self.momentum * (low - self.low)", "self.high = self.high + self.momentum * (high - self.high)"
HALF = "half = 2 ** (self.bits - 1)"
WIDENED_LOW, WIDENED_HIGH = "low = self.low.to(like.dtype).clamp(max=0.0)", "high = self.high.to(like.dtype).clamp(min=0.0)"
LARGEST = "largest = torch.maximum(-low, high)"
SYMMETRIC_SCALE = "scale = largest / highest"
SCALE = "scale = (high - low) / (highest - lowest)"
GUARD = "scale = torch.where(scale > 0, scale, torch.ones_like(scale))"
PLACE = "place = torch.zeros_like(scale) if self.symmetric else lowest - low / scale"
ZERO = "zero = torch.round(place)"

MISTAKES = (
    # backwards
    KnownMistake("rounding_cuts_the_gradient", "Rounding has no slope: no gradient reaches x, and nothing below is trained. Pass it straight through: x + (rounded - x).detach().",
        forward, RESULT, "return rounded"),
    KnownMistake("gradient_through_one_end", "The gradient is stopped below the range alone; it must be 0 above it too.",
        forward, INSIDE, "inside = codes >= lowest", seen_in=("pytorch/pytorch#21767",)),
    KnownMistake("mask_turned_round", "The gradient is passed outside the range and stopped inside: the mask is the wrong way round.",
        forward, PASSED, "passed = torch.where(inside, x.detach(), x)"),
    KnownMistake("mask_after_clamping", "Whether a number is inside is asked after it was clamped: then all are, and the gradient is never stopped.",
        forward, INSIDE, "inside = (clamped >= lowest) & (clamped <= highest)", looks_like=("variant=passes_everything",)),
    KnownMistake("gradient_scaled", "The gradient is divided by the scale; straight through means as it is.",
        forward, RESULT, "return passed / scale + (rounded - passed / scale).detach()"),
    KnownMistake("gradient_multiplied_by_the_scale", "The gradient is multiplied by the scale, as if codes came out; straight through means as it is.",
        forward, RESULT, "return passed * scale + (rounded - passed * scale).detach()"),
    KnownMistake("gradient_twice", "The gradient comes twice: once through x and once through what is added to it. Detach the difference.",
        forward, RESULT, "return passed + (rounded.detach() + x - x.detach() - passed.detach())"),
    KnownMistake("nothing_comes_back", "All of it runs under no_grad: no gradient reaches x.", forward, RESULT, "return rounded.detach()"),
    KnownMistake("range_not_detached", "The range is computed from x with gradients: they go to its smallest and largest number. Detach what is observed.",
        forward, SEEN, "self.observe(x)", also=(Edit(forward, RESULT, "return passed + (rounded - passed).detach() + ((clamped - zero).detach() * (scale - scale.detach()))"),)),
    # forwards
    KnownMistake("not_quantized", "What comes out is x, clipped: it must be on codes, or training sees nothing of the rounding.",
        forward, STEPS, "steps = x / scale"),
    KnownMistake("rounded_down", "floor() is no rounding: everything comes out too small by half a step on average.", forward, STEPS, "steps = torch.floor(x / scale)"),
    KnownMistake("rounded_towards_zero", "The conversion to whole numbers cuts off; round.", forward, STEPS, "steps = torch.trunc(x / scale)"),
    KnownMistake("noise_for_rounding", "Noise is added in place of rounding: what comes out is on no code.",
        forward, STEPS, "steps = x / scale + 0.5 * torch.sin(1e4 * x)"),
    KnownMistake("not_clamped", "Numbers beyond the range are not clipped: they get codes that do not exist.", forward, CLAMPED, "clamped = codes"),
    KnownMistake("wraps_around", "Codes beyond the last wrap around to the other end; clamp before you convert.",
        forward, CLAMPED, "clamped = (codes - lowest) % (highest - lowest + 1) + lowest"),
    KnownMistake("clamped_before_the_zero_point", "The steps are clamped before the zero point is added: a range that is not symmetric loses one side.",
        forward, CODES, "codes = steps.clamp(lowest, highest) + zero"),
    KnownMistake("codes_come_out", "The codes themselves come out; take off the zero point and multiply by the scale.", forward, ROUNDED, "rounded = clamped"),
    KnownMistake("zero_point_not_taken_off", "The zero point is not taken off again: everything is shifted.", forward, ROUNDED, "rounded = clamped * scale"),
    KnownMistake("zero_point_added_twice", "The zero point is added on the way back; take it off.", forward, ROUNDED, "rounded = (clamped + zero) * scale"),
    KnownMistake("zero_point_not_whole", "The zero point is no whole number, so 0 has no code of its own.", scale_and_zero, ZERO, "zero = place",
        also=(Edit(forward, STEPS, "steps = x / scale"), Edit(forward, CODES, "codes = torch.round(steps + zero)"))),
    KnownMistake("zero_point_of_unsigned_codes", "This is the zero point of codes that start at 0.", scale_and_zero, PLACE, "place = torch.zeros_like(scale) if self.symmetric else -low / scale"),
    KnownMistake("always_eight_bits", "The number of bits is not heard: it is 8.", fake_quantize.codes, HALF, "half = 128"),
    KnownMistake("one_bit_too_many", "2^bits codes on each side of 0 are one bit more than there is.", fake_quantize.codes, HALF, "half = 2**self.bits"),
    KnownMistake("one_bit_too_few", "The sign is not counted: a bit is given away.", fake_quantize.codes, HALF, "half = 2 ** (self.bits - 2)"),
    KnownMistake("always_symmetric", "symmetric=False is not heard: a one-sided range loses half of its codes.",
        fake_quantize.codes, "if self.symmetric:", "if True:", also=(Edit(scale_and_zero, SCALE, "largest = torch.maximum(-low, high)\nscale = largest / highest"), Edit(scale_and_zero, PLACE, "place = torch.zeros_like(scale)"))),
    KnownMistake("one_side_of_the_range", "In symmetric mode the scale comes from the high end alone: larger negative numbers are clipped.",
        scale_and_zero, LARGEST, "largest = torch.where(high > 0, high, -low)"),
    KnownMistake("range_over_all_codes", "The range is divided by the number of codes; between 2^bits codes there are 2^bits - 1 steps.",
        scale_and_zero, SCALE, "scale = (high - low) / (highest - lowest + 1)"),
    KnownMistake("range_of_one_side", "The range is divided by the codes of one side: the step is twice as wide as it could be.",
        scale_and_zero, SCALE, "scale = (high - low) / highest"),
    KnownMistake("scale_without_guard", "A range without width has the scale 0, and 0 / 0 is NaN.", scale_and_zero, GUARD, "pass"),
    # the range
    KnownMistake("loaded_range_forgotten", "After load() the next batch in training sets the range anew: a resumed run starts over.",
        observe, "if self.low is None or self.high is None:", "begun = self.__dict__.setdefault('begun', [])\nbegun.append(True)\nif len(begun) == 1:"),
    KnownMistake("last_batch_kept", "The range is that of the last batch: it jumps about. Move it by the share of momentum.",
        observe, LOW, "self.low = low", also=(Edit(observe, HIGH, "self.high = high"),)),
    KnownMistake("extremes_kept", "The range only ever widens: one outlier spoils it for ever. Move it by the share of momentum.",
        observe, LOW, "self.low = torch.minimum(self.low, low)", also=(Edit(observe, HIGH, "self.high = torch.maximum(self.high, high)"),)),
    KnownMistake("range_starts_at_zero", "The range starts at 0 and creeps up: the first batches are clipped to nothing. Let the first batch set it.",
        observe, FIRST, "self.low, self.high = self.momentum * low, self.momentum * high"),
    KnownMistake("range_shrinks", "The old range is multiplied by 1 - momentum and less than the whole of the new share is added: it collapses.",
        observe, HIGH, "self.high = (1 - self.momentum) * self.high + self.momentum * 0.9 * high", also=(Edit(observe, LOW, "self.low = (1 - self.momentum) * self.low + self.momentum * 0.9 * low"),)),
    KnownMistake("range_adds_up", "The new share is added and nothing of the old range given up: it explodes.",
        observe, HIGH, "self.high = self.high + self.momentum * high", also=(Edit(observe, LOW, "self.low = self.low + self.momentum * low"),)),
    KnownMistake("low_end_not_tracked", "Only the high end of the range follows; the low one stays where the first batch put it.", observe, LOW, "pass"),
    KnownMistake("range_of_absolute_values", "The range is tracked as +- the largest absolute value: its low end is wrong.",
        observe, EXTREMES, "low, high = -x.abs().amax(), x.abs().amax()"),
    KnownMistake("range_of_the_first_row", "The range is taken of the first row of a batch alone.", observe, EXTREMES, "low, high = x[0].amin(), x[0].amax()"),
    KnownMistake("mean_for_extremes", "The range is taken of means, not of the smallest and largest number.",
        observe, EXTREMES, "low, high = x.mean() - x.std(), x.mean() + x.std()"),
    KnownMistake("observes_in_evaluation", "The range follows what is seen in evaluation too.", forward, IN_TRAINING, "if True:"),
    KnownMistake("never_observes", "After the first batch the range never moves again.", forward, IN_TRAINING, "if self.training and self.low is None:"),
    KnownMistake("train_switches_off", "train() switches following off, as eval() does: after the first evaluation the range never moves again.",
        fake_quantize.train, "self.training = True", "self.training = False", seen_in=("pytorch/pytorch#27113",)),
    KnownMistake("eval_does_nothing", "eval() does not switch following off.", fake_quantize.eval, "self.training = False", "self.training = bool(self.training)",
        looks_like=("observes_in_evaluation",)),
    KnownMistake("ends_loaded_in_the_wrong_order", "load() takes the high end for the low one.", fake_quantize.load, "self.low = torch.tensor(low, dtype=torch.float64)", "self.low = torch.tensor(high, dtype=torch.float64)",
        also=(Edit(fake_quantize.load, "self.high = torch.tensor(high, dtype=torch.float64)", "self.high = torch.tensor(low, dtype=torch.float64)"),)),
    KnownMistake("one_bit_accepted", "A single bit is accepted, which has no steps; refuse it.", fake_quantize.__init__, "if bits < 2:", "if False:"),
)
