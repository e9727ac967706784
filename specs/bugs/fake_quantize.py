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
    # the backward pass
    KnownMistake("straight_through_gradient_missing", "Rounding has zero gradient: no gradient reaches x, and the layers below are not trained. Use a straight-through estimator: x + (rounded - x).detach().",
        forward, RESULT, "return rounded", aliases=("rounding_cuts_the_gradient",)),
    KnownMistake("gradient_stopped_below_range_only", "The gradient is stopped only below the range. It must be 0 above the range too.",
        forward, INSIDE, "inside = codes >= lowest", seen_in=("pytorch/pytorch#21767",), aliases=("gradient_through_one_end",)),
    KnownMistake("gradient_mask_inverted", "The gradient mask is inverted: the gradient passes outside the range and is stopped inside.",
        forward, PASSED, "passed = torch.where(inside, x.detach(), x)", aliases=("mask_turned_round",)),
    KnownMistake("range_check_after_clamping", "The range check runs after the clamping: every value is inside, so the gradient is never stopped.",
        forward, INSIDE, "inside = (clamped >= lowest) & (clamped <= highest)", looks_like=("variant=passes_everything",), aliases=("mask_after_clamping",)),
    KnownMistake("gradient_divided_by_the_scale", "The gradient is divided by the scale. A straight-through estimator passes it unchanged.",
        forward, RESULT, "return passed / scale + (rounded - passed / scale).detach()", aliases=("gradient_scaled",)),
    KnownMistake("gradient_multiplied_by_the_scale", "The gradient is multiplied by the scale, as if the output were codes. A straight-through estimator passes it unchanged.",
        forward, RESULT, "return passed * scale + (rounded - passed * scale).detach()"),
    KnownMistake("gradient_twice", "The gradient reaches x twice: through x and through the difference added to it. Detach the difference.",
        forward, RESULT, "return passed + (rounded.detach() + x - x.detach() - passed.detach())"),
    KnownMistake("output_detached", "The whole forward pass runs under no_grad: no gradient reaches x.", forward, RESULT, "return rounded.detach()", aliases=("nothing_comes_back",)),
    KnownMistake("range_not_detached", "The range is computed from x with gradients, which flow to its smallest and largest value. Detach x before observing it.",
        forward, SEEN, "self.observe(x)", also=(Edit(forward, RESULT, "return passed + (rounded - passed).detach() + ((clamped - zero).detach() * (scale - scale.detach()))"),)),
    # the forward pass
    KnownMistake("not_quantized", "The output is only clipped, not rounded to codes: training does not see the rounding error.",
        forward, STEPS, "steps = x / scale"),
    KnownMistake("rounded_down", "floor() is used in place of round(): values come out half a step too small on average.", forward, STEPS, "steps = torch.floor(x / scale)"),
    KnownMistake("rounded_towards_zero", "The conversion to integers truncates towards zero. Round to the nearest.", forward, STEPS, "steps = torch.trunc(x / scale)"),
    KnownMistake("noise_for_rounding", "Noise is added in place of rounding: the output is not on the quantization grid.",
        forward, STEPS, "steps = x / scale + 0.5 * torch.sin(1e4 * x)"),
    KnownMistake("not_clamped", "Values beyond the range are not clamped: they get codes that do not exist.", forward, CLAMPED, "clamped = codes"),
    KnownMistake("wraps_around", "Codes beyond the last one wrap around to the other end. Clamp before the conversion.",
        forward, CLAMPED, "clamped = (codes - lowest) % (highest - lowest + 1) + lowest"),
    KnownMistake("clamped_before_the_zero_point", "The steps are clamped before the zero point is added: an asymmetric range loses one side.",
        forward, CODES, "codes = steps.clamp(lowest, highest) + zero"),
    KnownMistake("codes_returned", "The codes themselves are returned. Subtract the zero point and multiply by the scale.", forward, ROUNDED, "rounded = clamped", aliases=("codes_come_out",)),
    KnownMistake("zero_point_not_subtracted", "The zero point is not subtracted when dequantizing: every value has the same offset.", forward, ROUNDED, "rounded = clamped * scale", aliases=("zero_point_not_taken_off",)),
    KnownMistake("zero_point_added", "The zero point is added when dequantizing. It must be subtracted.", forward, ROUNDED, "rounded = (clamped + zero) * scale", aliases=("zero_point_added_twice",)),
    KnownMistake("zero_point_not_integer", "The zero point is not an integer, so 0 has no code of its own.", scale_and_zero, ZERO, "zero = place",
        also=(Edit(forward, STEPS, "steps = x / scale"), Edit(forward, CODES, "codes = torch.round(steps + zero)")), aliases=("zero_point_not_whole",)),
    KnownMistake("zero_point_of_unsigned_codes", "This is the zero point of unsigned codes, which start at 0.", scale_and_zero, PLACE, "place = torch.zeros_like(scale) if self.symmetric else -low / scale"),
    KnownMistake("always_eight_bits", "The bits argument is ignored: 8 is always used.", fake_quantize.codes, HALF, "half = 128"),
    KnownMistake("one_bit_too_many", "There are 2^bits codes on each side of 0: one bit more than asked for.", fake_quantize.codes, HALF, "half = 2**self.bits"),
    KnownMistake("one_bit_too_few", "There are only 2^(bits - 2) codes on each side of 0: one bit is wasted.", fake_quantize.codes, HALF, "half = 2 ** (self.bits - 2)"),
    KnownMistake("always_symmetric", "symmetric=False is ignored: a one-sided range loses half of its codes.",
        fake_quantize.codes, "if self.symmetric:", "if True:", also=(Edit(scale_and_zero, SCALE, "largest = torch.maximum(-low, high)\nscale = largest / highest"), Edit(scale_and_zero, PLACE, "place = torch.zeros_like(scale)"))),
    KnownMistake("scale_from_high_end_only", "In symmetric mode the scale comes from the high end only: larger negative values are clipped.",
        scale_and_zero, LARGEST, "largest = torch.where(high > 0, high, -low)", aliases=("one_side_of_the_range",)),
    KnownMistake("range_divided_by_number_of_codes", "The range is divided by the number of codes. 2^bits codes have 2^bits - 1 steps between them.",
        scale_and_zero, SCALE, "scale = (high - low) / (highest - lowest + 1)", aliases=("range_over_all_codes",)),
    KnownMistake("range_divided_by_half_the_codes", "The range is divided by the codes of one side: the step is twice as wide as it must be.",
        scale_and_zero, SCALE, "scale = (high - low) / highest", aliases=("range_of_one_side",)),
    KnownMistake("scale_without_guard", "A range of width 0 has a scale of 0, and 0 / 0 is NaN.", scale_and_zero, GUARD, "pass"),
    # the range
    KnownMistake("loaded_range_overwritten", "After load() the next training batch initialises the range again: a resumed run starts over.",
        observe, "if self.low is None or self.high is None:", "begun = self.__dict__.setdefault('begun', [])\nbegun.append(True)\nif len(begun) == 1:", aliases=("loaded_range_forgotten",)),
    KnownMistake("range_of_the_last_batch", "The range is that of the last batch, so it jumps. Update it as a moving average with momentum.",
        observe, LOW, "self.low = low", also=(Edit(observe, HIGH, "self.high = high"),), aliases=("last_batch_kept",)),
    KnownMistake("range_never_shrinks", "The range only ever widens: one outlier spoils it for good. Update it as a moving average with momentum.",
        observe, LOW, "self.low = torch.minimum(self.low, low)", also=(Edit(observe, HIGH, "self.high = torch.maximum(self.high, high)"),), aliases=("extremes_kept",)),
    KnownMistake("range_starts_at_zero", "The moving average starts at 0: the first batches are clipped to almost nothing. Initialise it with the first batch.",
        observe, FIRST, "self.low, self.high = self.momentum * low, self.momentum * high"),
    KnownMistake("range_shrinks", "The weights of the moving average sum to less than 1: the range collapses.",
        observe, HIGH, "self.high = (1 - self.momentum) * self.high + self.momentum * 0.9 * high", also=(Edit(observe, LOW, "self.low = (1 - self.momentum) * self.low + self.momentum * 0.9 * low"),)),
    KnownMistake("old_range_not_decayed", "The new extremes are added, but the old range is not decayed: the range grows without bound.",
        observe, HIGH, "self.high = self.high + self.momentum * high", also=(Edit(observe, LOW, "self.low = self.low + self.momentum * low"),), aliases=("range_adds_up",)),
    KnownMistake("low_end_not_tracked", "Only the high end of the range is updated. The low end keeps the value of the first batch.", observe, LOW, "pass"),
    KnownMistake("range_of_absolute_values", "The range is tracked as +- the largest absolute value: its low end is wrong.",
        observe, EXTREMES, "low, high = -x.abs().amax(), x.abs().amax()"),
    KnownMistake("range_of_the_first_row", "The range is taken from the first row of the batch only.", observe, EXTREMES, "low, high = x[0].amin(), x[0].amax()"),
    KnownMistake("mean_for_extremes", "The range is the mean plus and minus the standard deviation. It must be the smallest and the largest value.",
        observe, EXTREMES, "low, high = x.mean() - x.std(), x.mean() + x.std()"),
    KnownMistake("observes_in_evaluation", "The range is updated in evaluation mode too.", forward, IN_TRAINING, "if True:"),
    KnownMistake("range_frozen_after_first_batch", "After the first batch the range is never updated again.", forward, IN_TRAINING, "if self.training and self.low is None:", aliases=("never_observes",)),
    KnownMistake("train_freezes_the_range", "train() stops range updates, as eval() does: after the first evaluation the range is frozen.",
        fake_quantize.train, "self.training = True", "self.training = False", seen_in=("pytorch/pytorch#27113",), aliases=("train_switches_off",)),
    KnownMistake("eval_does_nothing", "eval() does not stop range updates.", fake_quantize.eval, "self.training = False", "self.training = bool(self.training)",
        looks_like=("observes_in_evaluation",)),
    KnownMistake("load_exchanges_low_and_high", "load() exchanges the low and the high end of the range.", fake_quantize.load, "self.low = torch.tensor(low, dtype=torch.float64)", "self.low = torch.tensor(high, dtype=torch.float64)",
        also=(Edit(fake_quantize.load, "self.high = torch.tensor(high, dtype=torch.float64)", "self.high = torch.tensor(low, dtype=torch.float64)"),), aliases=("ends_loaded_in_the_wrong_order",)),
    KnownMistake("one_bit_accepted", "bits=1 is accepted, although one bit leaves no steps. Raise an error.", fake_quantize.__init__, "if bits < 2:", "if False:"),
)
