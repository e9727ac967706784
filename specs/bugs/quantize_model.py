"""Known mistakes in quantizing a whole model."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.quantize_model import dequantize_rows, pack_bits, quantize_model, quantize_rows, unpack_bits

build, forward = quantize_model.__init__, quantize_model.forward

CHOSEN = "self.chosen = {name for kind in kinds for name in KINDS[kind]}"
BITS = "self.bits = bits"
BLOCKS = 'self.blocks = [self.stored(block) for block in weights["blocks"]]'
REST = 'self.rest = self.stored({name: value for name, value in weights.items() if name != "blocks"})'
COPIED = "held[name] = value.detach().clone()"
CODED = "held[name] = quantize_rows(value.detach(), self.bits)"
LOGITS = "return gpt2(ids, self.weights(), self.config)"
BACK = "blocks = [plain(block) for block in self.blocks]"
ROWS = "rows = weight if weight.dim() == 2 else weight.reshape(1, -1)"
HIGHEST = "highest = 2 ** (bits - 1) - 1"
LARGEST = "largest = rows.abs().amax(1, keepdim=True)"
SCALE = "scale = largest / highest"
GUARD = "scale = torch.where(scale > 0, scale, torch.ones_like(scale))"
STEPS = "steps = torch.round(rows / scale)"
CODES = "codes = steps.to(torch.int64) + highest"
TAKEN_OFF = "steps = codes.reshape(len(rows.scale), -1) - highest"
VALUES = "values = steps * rows.scale"
RESHAPED = "return values.reshape(rows.shape)"
STREAM = "stream = ((codes[:, None] >> places) & 1).reshape(-1)"
KEPT = "kept = stream[: count * bits].reshape(count, bits)"
WEIGHED = "weighed = kept << torch.arange(bits, device=packed.device)"

MISTAKES = (
    # what is quantized
    KnownMistake("norms_quantized_too", "The layer norms are quantized without being asked for: they save nothing, and all behind them is multiplied by their error.",
        build, CHOSEN, 'self.chosen = {name for kind in (*kinds, "norms") for name in KINDS[kind]}'),
    KnownMistake("embeddings_quantized_too", "The embeddings, and with them the head, are quantized without being asked for.",
        build, CHOSEN, 'self.chosen = {name for kind in (*kinds, "embeddings") for name in KINDS[kind]}'),
    KnownMistake("everything_quantized", "Every tensor is quantized, biases too.",
        build, CHOSEN, 'self.chosen = {name for block in (*weights["blocks"], weights) for name in block}'),
    KnownMistake("biases_quantized_too", "The biases of the projections are quantized too.",
        build, CHOSEN, 'self.chosen = {n for kind in kinds for name in KINDS[kind] for n in (name, name.replace("weight", "bias") if kind in ("attention", "mlp") else name)}'),
    KnownMistake("matrices_by_their_rank", "Every tensor of two axes is quantized: the embeddings, and with them the head, have two as well.",
        build, REST, 'self.chosen = self.chosen | {name for name, value in weights.items() if name != "blocks" and value is not None and value.dim() == 2}\nself.rest = self.stored({name: value for name, value in weights.items() if name != "blocks"})',
        looks_like=("embeddings_quantized_too",)),
    KnownMistake("attention_left_out", "The matrices of attention are left unquantized.",
        build, CHOSEN, 'self.chosen = {name for kind in kinds if kind != "attention" for name in KINDS[kind]}'),
    KnownMistake("mlp_left_out", "The matrices of the feed-forward layers, two thirds of a block, are left unquantized.",
        build, CHOSEN, 'self.chosen = {name for kind in kinds if kind != "mlp" for name in KINDS[kind]}'),
    KnownMistake("down_projection_left_out", "The second matrix of the feed-forward layer is left unquantized.",
        build, CHOSEN, 'self.chosen = {name for kind in kinds for name in KINDS[kind] if name != "down_weight"}'),
    KnownMistake("output_projection_left_out", "The output projection of attention is left unquantized.",
        build, CHOSEN, 'self.chosen = {name for kind in kinds for name in KINDS[kind] if name != "out_weight"}'),
    KnownMistake("last_layer_left_out", "The last layer is left unquantized: the loop ends one too early.",
        build, BLOCKS, 'self.blocks = [self.stored(block) for block in weights["blocks"]]\nself.blocks[-1] = {name: None if value is None else value.detach().clone() for name, value in weights["blocks"][-1].items()}'),
    KnownMistake("first_layer_alone", "Only the first layer is quantized: the loop returns too early.",
        build, BLOCKS, 'self.blocks = [self.stored(block) if place == 0 else dict(block) for place, block in enumerate(weights["blocks"])]'),
    KnownMistake("kinds_not_heard", "The kinds that are asked for are not used: it is always attention and mlp.",
        build, CHOSEN, 'self.chosen = {name for kind in ("attention", "mlp") for name in KINDS[kind]}'),
    KnownMistake("any_kind_accepted", "A kind that does not exist is silently left out; refuse it.",
        build, CHOSEN, "self.chosen = {name for kind in kinds for name in KINDS.get(kind, ())}", also=(Edit(build, "if unknown:", "if False:"),)),
    KnownMistake("nothing_quantized", "Nothing is quantized at all: the copies are in full precision.", build, CHOSEN, "self.chosen = set()"),
    KnownMistake("norms_in_float16", "What stays is rounded to float16; it must stay as it is.",
        quantize_model.stored, COPIED, "held[name] = value.detach().to(torch.bfloat16).to(value.dtype)"),
    # what it computes with
    KnownMistake("first_layer_for_all", "Every layer computes with the matrices of the first: they were bound once, outside of the loop.",
        forward, LOGITS, "whole = self.weights()\nwhole['blocks'] = [whole['blocks'][0]] * len(whole['blocks'])\nreturn gpt2(ids, whole, self.config)"),
    KnownMistake("layers_in_reverse", "The layers are run in reverse order.",
        forward, LOGITS, "whole = self.weights()\nwhole['blocks'] = whole['blocks'][::-1]\nreturn gpt2(ids, whole, self.config)"),
    KnownMistake("computes_with_the_originals", "The forward pass still uses the weights that were given: quantization changes nothing.",
        forward, LOGITS, "return gpt2(ids, self.given, self.config)", also=(Edit(build, BITS, "self.bits = bits\nself.given = weights"),), looks_like=("nothing_quantized",)),
    KnownMistake("originals_kept", "The weights that were given are held beside their codes: nothing is saved.",
        build, BITS, "self.bits = bits\nself.given = weights",
        unnamed_because="it computes the right numbers; only its weight in memory tells"),
    KnownMistake("given_weights_overwritten", "The weights that were given are overwritten with the quantized ones: whoever else uses them gets those.",
        quantize_model.stored, CODED, "held[name] = quantize_rows(value.detach(), self.bits)\nvalue.detach().copy_(dequantize_rows(held[name]))"),
    # codes
    KnownMistake("cut_off", "The conversion to whole numbers cuts off; round first.", quantize_rows, STEPS, "steps = torch.trunc(rows / scale)"),
    KnownMistake("scale_of_the_other_axis", "The scales are those of the columns, handed out to the rows.",
        quantize_rows, LARGEST, "largest = rows.abs().amax(0)[torch.arange(len(rows)) % rows.shape[1]][:, None]"),
    KnownMistake("maximum_without_absolute_value", "A row's scale is its largest number; it must be the largest absolute value.",
        quantize_rows, LARGEST, "largest = rows.amax(1, keepdim=True).clamp(min=0)"),
    KnownMistake("standard_deviations_for_the_largest", "Numbers beyond two standard deviations are cut off to make the others finer; nobody asked for that.",
        quantize_rows, LARGEST, "largest = 1.0 * rows.pow(2).mean(1, keepdim=True).sqrt()", also=(Edit(quantize_rows, STEPS, "steps = torch.round(rows / scale).clamp(-highest, highest)"),)),
    KnownMistake("always_four_bits", "The number of bits is not heard: it is 4.", build, BITS, "self.bits = 4"),
    KnownMistake("always_eight_bits", "The number of bits is not heard: it is 8.", build, BITS, "self.bits = 8"),
    KnownMistake("zeros_become_nan", "A row of zeros has the scale 0, and 0 / 0 is no number.",
        quantize_rows, GUARD, "scale = torch.where(scale > 0, scale, torch.full_like(scale, torch.nan))"),
    KnownMistake("offset_not_taken_off", "The codes are stored without sign; their offset must be taken off again.",
        dequantize_rows, TAKEN_OFF, "steps = codes.reshape(len(rows.scale), -1)"),
    KnownMistake("offset_off_by_one", "The offset is 2^(bits-1) on the way back and one less on the way there.",
        dequantize_rows, "highest = 2 ** (rows.bits - 1) - 1", "highest = 2 ** (rows.bits - 1)"),
    KnownMistake("transposed_on_the_way_back", "The matrix comes back transposed.",
        dequantize_rows, RESHAPED, "return values.T.reshape(rows.shape)"),
    KnownMistake("scales_along_the_columns", "The scale of row k belongs to all of row k; here it is handed out along the columns.",
        dequantize_rows, VALUES, "values = steps * rows.scale[torch.arange(steps.shape[1]) % len(rows.scale), 0]"),
    KnownMistake("one_scale_too_many", "Taken back, numbers are multiplied by the scale twice.", dequantize_rows, VALUES, "values = steps * rows.scale * rows.scale"),
    KnownMistake("no_code_straddles_bytes", "As many codes are read from a byte as fit whole: three bits straddle bytes, as does everything but 2, 4 and 8.",
        unpack_bits, KEPT, "whole = 8 // bits\nkept = stream.reshape(-1, 8)[:, : whole * bits].reshape(-1, bits)\nkept = torch.cat([kept, kept.new_zeros(max(0, count - len(kept)), bits)])[:count]",
        seen_in=("ddalcu/mlx-serve#305",)),
    KnownMistake("bits_in_reverse", "The bits of a code are written lowest first and read highest first.",
        unpack_bits, WEIGHED, "weighed = kept << torch.arange(bits - 1, -1, -1, device=packed.device)"),
    KnownMistake("no_bits_accepted", "No bits at all are accepted; refuse them.", build, "if not 2 <= bits <= 8:", "if bits > 8:",
        also=(Edit(quantize_rows, HIGHEST, "highest = 2 ** (max(bits, 2) - 1) - 1"), Edit(quantize_rows, "return Rows(packed, scale, weight.shape, bits)", "return Rows(packed, scale, weight.shape, max(bits, 2))"), Edit(pack_bits, STREAM, "stream = ((codes[:, None] >> torch.arange(max(bits, 2))) & 1).reshape(-1)"))),
)
