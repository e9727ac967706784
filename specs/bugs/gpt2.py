"""Known mistakes in assembling a GPT-2. (Mistakes inside its parts belong to the parts.)"""

from harness.core.mistake import Edit, KnownMistake
from reference_model.gpt2 import gpt2

TOO_LONG = "if time > config.context:"
EPS = 'eps = getattr(config, "norm_eps", 1e-5)'
POSITIONS = "positions = torch.arange(time, device=ids.device)"
TOKENS = 'tokens = token_embedding(ids, weights["token_embedding"])'
PLACES = 'places = learned_positions(positions, weights["position_embedding"])'
STREAM = "stream = tokens + places"
LAYERS = 'for layer_weights in weights["blocks"]:'
BLOCK = "stream = block(stream, layer_weights, config.heads, eps, attention_mask)"
NORMED = 'normed = layer_norm(stream, weights["final_norm_weight"], weights.get("final_norm_bias"), eps)'
GIVEN = "positions = position_ids"
LOGITS = 'return linear(normed, weights["token_embedding"], None)'

MISTAKES = (
    # positions
    KnownMistake("positions_forgotten", "The position embedding is not added.", gpt2, STREAM, "stream = tokens"),
    KnownMistake("positions_stretched", "Positions are stretched over the whole context. Position t must read row t of the table.",
        gpt2, POSITIONS, "positions = torch.arange(time, device=ids.device) * config.context // time"),
    KnownMistake("positions_all_zero", "Every position gets row 0 of the position table.", gpt2, POSITIONS, "positions = torch.zeros(time, dtype=torch.long)"),
    KnownMistake("positions_along_the_batch", "Positions are counted along the batch. They must be counted along the sequence.",
        gpt2, POSITIONS, "positions = torch.arange(ids.shape[0], device=ids.device)[:, None].expand(ids.shape)"),
    KnownMistake("positions_twice", "The position embedding is added twice.", gpt2, STREAM, "stream = tokens + 2 * places"),
    KnownMistake("positions_after_the_blocks", "The position embedding is added after the blocks. Add it before them.",
        gpt2, STREAM, "stream = tokens", also=(Edit(gpt2, NORMED, NORMED.replace("(stream,", "(stream + places,")),)),
    KnownMistake("positions_in_every_block", "The position embedding is added before every block. Add it once, before the first block.",
        gpt2, STREAM, "stream = tokens", also=(Edit(gpt2, BLOCK, BLOCK.replace("(stream,", "(stream + places,")),)),
    KnownMistake("positions_cached_across_calls", "The positions of the first call are cached and reused in every later call, whatever its length.",
        gpt2, POSITIONS, 'positions = gpt2.__dict__.setdefault("positions", torch.arange(time, device=ids.device))', aliases=("positions_kept",)),
    KnownMistake("skipped_for_one_token", "The position embedding is skipped for a single token.", gpt2, STREAM, "stream = tokens + places if time > 1 else tokens", aliases=("no_positions_for_one_id",)),
    KnownMistake("ids_as_positions", "The ids are used as positions to read the position table.",
        gpt2, POSITIONS, "positions = ids % config.context"),
    # the embedding
    KnownMistake("embeddings_scaled_by_root_of_width", "The sum of the embeddings is multiplied by sqrt(D). GPT-2 does not scale it.",
        gpt2, STREAM, "stream = (tokens + places) * config.width ** 0.5", aliases=("stream_times_the_root_of_the_width",)),
    KnownMistake("positions_divided_by_root_of_width", "The position embedding is divided by sqrt(D). GPT-2 does not scale it.",
        gpt2, STREAM, "stream = tokens + places / config.width ** 0.5", aliases=("positions_over_the_root_of_the_width",)),
    KnownMistake("embedding_normalised", "A norm follows the embeddings. GPT-2 has none there.",
        gpt2, STREAM, "stream = layer_norm(tokens + places, None, None, eps)"),
    KnownMistake("first_embedding_column_zeroed", "The first column of the token embeddings is set to zero before the blocks.",
        gpt2, TOKENS, TOKENS + "\ntokens = torch.cat([torch.zeros_like(tokens[..., :1]), tokens[..., 1:]], -1)"),
    KnownMistake("ids_shifted_by_one", "The ids are shifted by one inside the model: each position sees the next id.",
        gpt2, TOKENS, 'tokens = token_embedding(ids.roll(-1, -1), weights["token_embedding"])', aliases=("shifted_by_one",)),
    KnownMistake("embedding_dropout_left_on", "Dropout after the embeddings is active outside training.",
        gpt2, STREAM, "stream = torch.nn.functional.dropout(tokens + places, 0.1, training=True)", seen_in=("karpathy/nanoGPT#240",)),
    # the blocks
    KnownMistake("last_block_skipped", "The last block is not run.", gpt2, LAYERS, 'for layer_weights in weights["blocks"][:-1]:'),
    KnownMistake("first_block_skipped", "The first block is not run.", gpt2, LAYERS, 'for layer_weights in weights["blocks"][1:]:'),
    KnownMistake("last_block_twice", "The last block is run twice.", gpt2, LAYERS, 'for layer_weights in [*weights["blocks"], weights["blocks"][-1]]:'),
    KnownMistake("blocks_in_reverse", "The blocks are run from the last to the first.", gpt2, LAYERS, 'for layer_weights in weights["blocks"][::-1]:'),
    KnownMistake("first_block_for_all", "Every layer uses the weights of the first one: the same block was put into the list again and again.",
        gpt2, BLOCK, 'stream = block(stream, weights["blocks"][0], config.heads, eps)'),
    KnownMistake("last_block_for_all", "Every layer uses the weights of the last one.", gpt2, BLOCK, 'stream = block(stream, weights["blocks"][-1], config.heads, eps)'),
    KnownMistake("blocks_in_parallel", "Every block reads the embeddings, and their results are summed. Each block must read the output of the one before it.",
        gpt2, LAYERS, 'start = stream\nfor layer_weights in weights["blocks"]:',
        also=(Edit(gpt2, BLOCK, "stream = stream + block(start, layer_weights, config.heads, eps) - start"),)),
    KnownMistake("only_the_last_block_counts", "Every block reads the embeddings, and only the last result is used: the loop does not pass the stream on.",
        gpt2, LAYERS, 'start = stream\nfor layer_weights in weights["blocks"]:', also=(Edit(gpt2, BLOCK, BLOCK.replace("(stream,", "(start,")),)),
    KnownMistake("detached_between_blocks", "The stream is detached between the blocks: earlier layers and the embeddings receive too little gradient or none.",
        gpt2, BLOCK, BLOCK.replace("(stream,", "(stream.detach(),")),
    KnownMistake("block_eps_not_passed", "The blocks use the default eps of 1e-5. They must use the configured one.", gpt2, BLOCK, BLOCK.replace(", eps,", ", 1e-5,")),
    # the final norm
    KnownMistake("final_norm_forgotten", "The final norm is missing: the head reads the unnormalised stream.", gpt2, NORMED, "normed = stream"),
    KnownMistake("final_norm_without_weights", "The final norm has neither scale nor bias.", gpt2, NORMED, "normed = layer_norm(stream, None, None, eps)"),
    KnownMistake("final_norm_of_the_last_block", "The final norm uses the weights of the last block's second norm.",
        gpt2, NORMED, 'normed = layer_norm(stream, layer_weights["norm_2_weight"], layer_weights.get("norm_2_bias"), eps)'),
    KnownMistake("final_norm_twice", "The final norm is applied twice.",
        gpt2, LOGITS, 'return linear(layer_norm(normed, weights["final_norm_weight"], weights.get("final_norm_bias"), eps), weights["token_embedding"], None)'),
    KnownMistake("final_norm_in_every_layer", "The final norm is applied after every block. Apply it once, after the last block.",
        gpt2, BLOCK, BLOCK + '\nstream = layer_norm(stream, weights["final_norm_weight"], weights.get("final_norm_bias"), eps)',
        also=(Edit(gpt2, NORMED, "normed = stream"),)),
    KnownMistake("final_eps_fixed", "eps of the final norm is fixed at 1e-6. It is configured, 1e-5 in GPT-2.", gpt2, NORMED, NORMED.replace("eps)", "1e-6)")),
    # the head
    KnownMistake("head_detached", "The head uses the embedding through .data or detach(): the gradient through the head is lost.",
        gpt2, LOGITS, 'return linear(normed, weights["token_embedding"].detach(), None)'),
    KnownMistake("probabilities_returned", "You return probabilities (a softmax of the logits). The contract asks for the logits.",
        gpt2, LOGITS, 'return torch.softmax(linear(normed, weights["token_embedding"], None), -1)'),
    KnownMistake("log_probabilities_returned", "You return log-probabilities. The contract asks for the logits.",
        gpt2, LOGITS, 'return torch.log_softmax(linear(normed, weights["token_embedding"], None), -1)'),
    KnownMistake("last_position_only", "You return the logits of the last position only (a shortcut for generation). The contract asks for all positions.",
        gpt2, LOGITS, 'return linear(normed[:, -1:], weights["token_embedding"], None)', seen_in=("karpathy/nanoGPT model.py, forward without targets",)),
    KnownMistake("logits_divided_by_root_of_width", "The logits are divided by sqrt(D), as T5 does with tied embeddings. GPT-2 does not scale them.",
        gpt2, LOGITS, 'return linear(normed, weights["token_embedding"], None) * config.width ** -0.5', aliases=("logits_over_the_root_of_the_width",)),
    KnownMistake("head_reads_positions_too", "The position embedding is added to the stream after the final norm: the head reads it too.",
        gpt2, LOGITS, 'return linear(normed + places, weights["token_embedding"], None)'),
    # the context limit
    KnownMistake("full_context_refused", "A sequence as long as the context is refused. Only longer ones must be.",
        gpt2, TOO_LONG, "if time >= config.context:"),
    KnownMistake("cropped_to_the_last", "A sequence longer than the context is silently cropped to its last ids. Raise an error: cropping belongs in generation.",
        gpt2, "time = ids.shape[-1]", "ids = ids[:, -config.context :]\ntime = ids.shape[-1]"),
    KnownMistake("cropped_to_the_first", "A sequence longer than the context is silently cropped to its first ids. Raise an error.",
        gpt2, "time = ids.shape[-1]", "ids = ids[:, : config.context]\ntime = ids.shape[-1]"),
    KnownMistake("positions_wrap", "Positions beyond the context silently wrap around to the first ones. Raise an error.",
        gpt2, TOO_LONG, "if False:", also=(Edit(gpt2, POSITIONS, "positions = torch.arange(time, device=ids.device) % config.context"),), aliases=("positions_wrapped",)),
    KnownMistake("positions_clamped", "Positions beyond the context silently get the last row of the position table. Raise an error.",
        gpt2, TOO_LONG, "if False:", also=(Edit(gpt2, POSITIONS, "positions = torch.arange(time, device=ids.device).clamp(max=config.context - 1)"),)),
    # padding
    KnownMistake("attention_mask_not_passed_on", "The model takes an attention mask and does not pass it to its blocks.",
        gpt2, BLOCK, "stream = block(stream, layer_weights, config.heads, eps)", looks_like=("attention.attention_mask_ignored", "block.attention_mask_not_passed_on")),
    KnownMistake("attention_mask_in_the_first_block_only", "Only the first block is given the attention mask.",
        gpt2, BLOCK, "stream = block(stream, layer_weights, config.heads, eps, attention_mask)\nattention_mask = None"),
    KnownMistake("position_ids_ignored", "position_ids are taken and not used: with padding before the text, positions begin with the padding.",
        gpt2, GIVEN, "pass", seen_in=("huggingface/transformers#29583", "unslothai/unsloth#3795")),
    KnownMistake("position_ids_of_the_first_row", "Every row uses the position_ids of the first row.",
        gpt2, GIVEN, "positions = position_ids[:1].expand(position_ids.shape)", seen_in=("unslothai/unsloth#4078",)),
    KnownMistake("position_ids_begin_at_1", "Given position_ids are read as if they began at 1.",
        gpt2, GIVEN, "positions = (position_ids - 1).clamp(min=0)"),
    KnownMistake("embeddings_multiplied_by_the_mask", "The embeddings are multiplied by the attention mask; padding is still attended to. Mask the scores.",
        gpt2, BLOCK, "stream = block(stream if attention_mask is None else stream * attention_mask.bool()[..., None], layer_weights, config.heads, eps)"),
)
