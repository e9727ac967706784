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
    KnownMistake("norms_quantized_too", "The layer norms are quantized without being requested. They save almost no memory, and their error multiplies everything after them.",
        build, CHOSEN, 'self.chosen = {name for kind in (*kinds, "norms") for name in KINDS[kind]}'),
    KnownMistake("embeddings_quantized_too", "The embeddings, and with them the output head, are quantized without being requested.",
        build, CHOSEN, 'self.chosen = {name for kind in (*kinds, "embeddings") for name in KINDS[kind]}'),
    KnownMistake("everything_quantized", "Every tensor is quantized, also the biases.",
        build, CHOSEN, 'self.chosen = {name for block in (*weights["blocks"], weights) for name in block}'),
    KnownMistake("biases_quantized_too", "The biases of the projections are quantized too.",
        build, CHOSEN, 'self.chosen = {n for kind in kinds for name in KINDS[kind] for n in (name, name.replace("weight", "bias") if kind in ("attention", "mlp") else name)}'),
    KnownMistake("all_2d_tensors_quantized", "Every two-dimensional tensor is quantized. The embeddings, and with them the output head, are two-dimensional too.",
        build, REST, 'self.chosen = self.chosen | {name for name, value in weights.items() if name != "blocks" and value is not None and value.dim() == 2}\nself.rest = self.stored({name: value for name, value in weights.items() if name != "blocks"})',
        looks_like=("embeddings_quantized_too",), aliases=("matrices_by_their_rank",)),
    KnownMistake("attention_left_out", "The attention matrices are not quantized.",
        build, CHOSEN, 'self.chosen = {name for kind in kinds if kind != "attention" for name in KINDS[kind]}'),
    KnownMistake("mlp_left_out", "The feed-forward matrices, two thirds of a block, are not quantized.",
        build, CHOSEN, 'self.chosen = {name for kind in kinds if kind != "mlp" for name in KINDS[kind]}'),
    KnownMistake("down_projection_left_out", "The down projection of the feed-forward layer is not quantized.",
        build, CHOSEN, 'self.chosen = {name for kind in kinds for name in KINDS[kind] if name != "down_weight"}'),
    KnownMistake("output_projection_left_out", "The output projection of attention is not quantized.",
        build, CHOSEN, 'self.chosen = {name for kind in kinds for name in KINDS[kind] if name != "out_weight"}'),
    KnownMistake("last_layer_left_out", "The last layer is not quantized: the loop ends one too early.",
        build, BLOCKS, 'self.blocks = [self.stored(block) for block in weights["blocks"]]\nself.blocks[-1] = {name: None if value is None else value.detach().clone() for name, value in weights["blocks"][-1].items()}'),
    KnownMistake("only_the_first_layer", "Only the first layer is quantized: the loop returns too early.",
        build, BLOCKS, 'self.blocks = [self.stored(block) if place == 0 else dict(block) for place, block in enumerate(weights["blocks"])]', aliases=("first_layer_alone",)),
    KnownMistake("kinds_ignored", "The kinds argument is ignored: attention and mlp are always quantized.",
        build, CHOSEN, 'self.chosen = {name for kind in ("attention", "mlp") for name in KINDS[kind]}', aliases=("kinds_not_heard",)),
    KnownMistake("unknown_kind_accepted", "An unknown kind is silently skipped. Raise an error.",
        build, CHOSEN, "self.chosen = {name for kind in kinds for name in KINDS.get(kind, ())}", also=(Edit(build, "if unknown:", "if False:"),), aliases=("any_kind_accepted",)),
    KnownMistake("nothing_quantized", "Nothing is quantized: the stored weights are full-precision copies.", build, CHOSEN, "self.chosen = set()"),
    KnownMistake("unquantized_tensors_in_bfloat16", "The tensors that are not quantized are rounded to bfloat16. They must stay unchanged.",
        quantize_model.stored, COPIED, "held[name] = value.detach().to(torch.bfloat16).to(value.dtype)", aliases=("norms_in_float16",)),
    # the weights that are used
    KnownMistake("first_layer_for_all", "Every layer uses the matrices of the first: they were bound once, outside the loop.",
        forward, LOGITS, "whole = self.weights()\nwhole['blocks'] = [whole['blocks'][0]] * len(whole['blocks'])\nreturn gpt2(ids, whole, self.config)"),
    KnownMistake("layers_in_reverse", "The layers run in reverse order.",
        forward, LOGITS, "whole = self.weights()\nwhole['blocks'] = whole['blocks'][::-1]\nreturn gpt2(ids, whole, self.config)"),
    KnownMistake("forward_uses_the_originals", "The forward pass uses the original weights: quantization has no effect.",
        forward, LOGITS, "return gpt2(ids, self.given, self.config)", also=(Edit(build, BITS, "self.bits = bits\nself.given = weights"),), looks_like=("nothing_quantized",), aliases=("computes_with_the_originals",)),
    KnownMistake("originals_kept", "The original weights are stored beside the codes: no memory is saved.",
        build, BITS, "self.bits = bits\nself.given = weights",
        unnamed_because="the output is right; only its memory footprint shows the mistake"),
    KnownMistake("callers_weights_overwritten", "The caller's weights are overwritten with the dequantized ones. Any other code that uses them sees the change.",
        quantize_model.stored, CODED, "held[name] = quantize_rows(value.detach(), self.bits)\nvalue.detach().copy_(dequantize_rows(held[name]))", aliases=("given_weights_overwritten",)),
    # codes
    KnownMistake("codes_truncated", "The conversion to integers truncates. Round first.", quantize_rows, STEPS, "steps = torch.trunc(rows / scale)", aliases=("cut_off",)),
    KnownMistake("scales_of_the_columns", "The scales are those of the columns, applied to the rows.",
        quantize_rows, LARGEST, "largest = rows.abs().amax(0)[torch.arange(len(rows)) % rows.shape[1]][:, None]", aliases=("scale_of_the_other_axis",)),
    KnownMistake("maximum_without_absolute_value", "A row's scale is its maximum. It must be the maximum absolute value.",
        quantize_rows, LARGEST, "largest = rows.amax(1, keepdim=True).clamp(min=0)"),
    KnownMistake("root_mean_square_for_maximum", "The scale is the root mean square of a row: larger values are clipped. Use the maximum absolute value.",
        quantize_rows, LARGEST, "largest = 1.0 * rows.pow(2).mean(1, keepdim=True).sqrt()", also=(Edit(quantize_rows, STEPS, "steps = torch.round(rows / scale).clamp(-highest, highest)"),), aliases=("standard_deviations_for_the_largest",)),
    KnownMistake("always_four_bits", "The bits argument is ignored: the bit width is always 4.", build, BITS, "self.bits = 4"),
    KnownMistake("always_eight_bits", "The bits argument is ignored: the bit width is always 8.", build, BITS, "self.bits = 8"),
    KnownMistake("scale_without_guard", "A row of zeros has scale 0, and 0 / 0 is NaN.",
        quantize_rows, GUARD, "scale = torch.where(scale > 0, scale, torch.full_like(scale, torch.nan))", aliases=("zeros_become_nan",)),
    KnownMistake("offset_not_subtracted", "The codes are stored unsigned, with an offset. dequantize must subtract it.",
        dequantize_rows, TAKEN_OFF, "steps = codes.reshape(len(rows.scale), -1)", aliases=("offset_not_taken_off",)),
    KnownMistake("offset_off_by_one", "Dequantizing subtracts 2^(bits-1). Quantizing adds 2^(bits-1) - 1.",
        dequantize_rows, "highest: int = 2 ** (rows.bits - 1) - 1", "highest = 2 ** (rows.bits - 1)"),
    KnownMistake("transposed_when_dequantized", "The dequantized matrix is transposed.",
        dequantize_rows, RESHAPED, "return values.T.reshape(rows.shape)", aliases=("transposed_on_the_way_back",)),
    KnownMistake("scales_along_the_columns", "The scales are applied along the columns. Scale k belongs to row k.",
        dequantize_rows, VALUES, "values = steps * rows.scale[torch.arange(steps.shape[1]) % len(rows.scale), 0]"),
    KnownMistake("scale_twice", "Dequantizing multiplies by the scale twice.", dequantize_rows, VALUES, "values = steps * rows.scale * rows.scale", aliases=("one_scale_too_many",)),
    KnownMistake("codes_across_bytes_not_read", "Only whole codes are read from each byte. Three-bit codes cross byte boundaries, as do all but 2, 4 and 8 bits.",
        unpack_bits, KEPT, "whole = 8 // bits\nkept = stream.reshape(-1, 8)[:, : whole * bits].reshape(-1, bits)\nkept = torch.cat([kept, kept.new_zeros(max(0, count - len(kept)), bits)])[:count]",
        seen_in=("ddalcu/mlx-serve#305",), aliases=("no_code_straddles_bytes",)),
    KnownMistake("bit_order_reversed_when_unpacking", "The bits of a code are written lowest first and read highest first.",
        unpack_bits, WEIGHED, "weighed = kept << torch.arange(bits - 1, -1, -1, device=packed.device)", aliases=("bits_in_reverse",)),
    KnownMistake("too_few_bits_accepted", "Fewer than 2 bits are accepted. Raise an error.", build, "if not 2 <= bits <= 8:", "if bits > 8:",
        also=(Edit(quantize_rows, HIGHEST, "highest = 2 ** (max(bits, 2) - 1) - 1"), Edit(quantize_rows, "return Rows(packed, scale, weight.shape, bits)", "return Rows(packed, scale, weight.shape, max(bits, 2))"), Edit(pack_bits, STREAM, "stream = ((codes[:, None] >> torch.arange(max(bits, 2))) & 1).reshape(-1)")), aliases=("no_bits_accepted",)),
)
