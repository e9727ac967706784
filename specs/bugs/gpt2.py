"""Known mistakes in putting a GPT-2 together. (Those inside its parts are the parts' own.)"""

from harness.core.mistake import Edit, KnownMistake
from reference_model.gpt2 import gpt2

TOO_LONG = "if time > config.context:"
EPS = 'eps = getattr(config, "norm_eps", 1e-5)'
POSITIONS = "positions = torch.arange(time, device=ids.device)"
TOKENS = 'tokens = token_embedding(ids, weights["token_embedding"])'
PLACES = 'places = learned_positions(positions, weights["position_embedding"])'
STREAM = "stream = tokens + places"
LAYERS = 'for layer_weights in weights["blocks"]:'
BLOCK = "stream = block(stream, layer_weights, config.heads, eps)"
NORMED = 'normed = layer_norm(stream, weights["final_norm_weight"], weights.get("final_norm_bias"), eps)'
LOGITS = 'return linear(normed, weights["token_embedding"], None)'

MISTAKES = (
    # positions
    KnownMistake("positions_forgotten", "The position embedding is not added.", gpt2, STREAM, "stream = tokens"),
    KnownMistake("positions_stretched", "Positions are stretched over the whole context; position t has row t of the table.",
        gpt2, POSITIONS, "positions = torch.arange(time, device=ids.device) * config.context // time"),
    KnownMistake("positions_all_zero", "Every position gets row 0 of the position table.", gpt2, POSITIONS, "positions = torch.zeros(time, dtype=torch.long)"),
    KnownMistake("positions_along_the_batch", "Positions count the rows of the batch; they must count along the sequence.",
        gpt2, POSITIONS, "positions = torch.arange(ids.shape[0], device=ids.device)[:, None].expand(ids.shape)"),
    KnownMistake("positions_twice", "The position embedding is added twice.", gpt2, STREAM, "stream = tokens + 2 * places"),
    KnownMistake("positions_after_the_blocks", "The position embedding is added after the blocks; it belongs before them.",
        gpt2, STREAM, "stream = tokens", also=(Edit(gpt2, NORMED, NORMED.replace("(stream,", "(stream + places,")),)),
    KnownMistake("positions_in_every_block", "The position embedding is added before every block; it belongs before the first one alone.",
        gpt2, STREAM, "stream = tokens", also=(Edit(gpt2, BLOCK, BLOCK.replace("(stream,", "(stream + places,")),)),
    KnownMistake("positions_kept", "The positions of the first call are kept for every later one, whatever its length.",
        gpt2, POSITIONS, 'positions = gpt2.__dict__.setdefault("positions", torch.arange(time, device=ids.device))'),
    KnownMistake("no_positions_for_one_id", "For a single id the position embedding is skipped.", gpt2, STREAM, "stream = tokens + places if time > 1 else tokens"),
    KnownMistake("ids_as_positions", "The position table is read at the ids.",
        gpt2, POSITIONS, "positions = ids % config.context"),
    # the embedding
    KnownMistake("stream_times_the_root_of_the_width", "The sum of the embeddings is multiplied by sqrt(D); GPT-2 does not.",
        gpt2, STREAM, "stream = (tokens + places) * config.width ** 0.5"),
    KnownMistake("positions_over_the_root_of_the_width", "The position embedding is divided by sqrt(D); GPT-2 adds it as it is.",
        gpt2, STREAM, "stream = tokens + places / config.width ** 0.5"),
    KnownMistake("embedding_normalised", "There is a norm after the embeddings; GPT-2 has none there.",
        gpt2, STREAM, "stream = layer_norm(tokens + places, None, None, eps)"),
    KnownMistake("shifted_by_one", "The ids are shifted by one inside the model; each position sees the next id.",
        gpt2, TOKENS, 'tokens = token_embedding(ids.roll(-1, -1), weights["token_embedding"])'),
    KnownMistake("embedding_dropout_left_on", "Dropout after the embeddings is on though you are not training.",
        gpt2, STREAM, "stream = torch.nn.functional.dropout(tokens + places, 0.1, training=True)", seen_in=("karpathy/nanoGPT#240",)),
    # the blocks
    KnownMistake("last_block_skipped", "The last block is not run.", gpt2, LAYERS, 'for layer_weights in weights["blocks"][:-1]:'),
    KnownMistake("first_block_skipped", "The first block is not run.", gpt2, LAYERS, 'for layer_weights in weights["blocks"][1:]:'),
    KnownMistake("last_block_twice", "The last block is run twice.", gpt2, LAYERS, 'for layer_weights in [*weights["blocks"], weights["blocks"][-1]]:'),
    KnownMistake("blocks_in_reverse", "The blocks are run from the last to the first.", gpt2, LAYERS, 'for layer_weights in weights["blocks"][::-1]:'),
    KnownMistake("first_block_for_all", "Every layer has the weights of the first one: the same block was put into the list over and over.",
        gpt2, BLOCK, 'stream = block(stream, weights["blocks"][0], config.heads, eps)'),
    KnownMistake("last_block_for_all", "Every layer has the weights of the last one.", gpt2, BLOCK, 'stream = block(stream, weights["blocks"][-1], config.heads, eps)'),
    KnownMistake("blocks_in_parallel", "Every block reads the embeddings, and their results are added up; each must read what the one before it returned.",
        gpt2, LAYERS, 'start = stream\nfor layer_weights in weights["blocks"]:',
        also=(Edit(gpt2, BLOCK, "stream = stream + block(start, layer_weights, config.heads, eps) - start"),)),
    KnownMistake("only_the_last_block_counts", "Every block reads the embeddings, and only the last one's result is used: the loop does not hand the stream on.",
        gpt2, LAYERS, 'start = stream\nfor layer_weights in weights["blocks"]:', also=(Edit(gpt2, BLOCK, BLOCK.replace("(stream,", "(start,")),)),
    KnownMistake("detached_between_blocks", "The stream is detached between the blocks: earlier layers and the embeddings receive less gradient or none.",
        gpt2, BLOCK, BLOCK.replace("(stream,", "(stream.detach(),")),
    KnownMistake("block_eps_not_passed", "The blocks use the default eps of 1e-5, not the configured one.", gpt2, BLOCK, BLOCK.replace(", eps)", ")")),
    # the final norm
    KnownMistake("final_norm_forgotten", "The final norm is missing: the head reads the stream as it is.", gpt2, NORMED, "normed = stream"),
    KnownMistake("final_norm_without_weights", "The final norm has neither gain nor shift.", gpt2, NORMED, "normed = layer_norm(stream, None, None, eps)"),
    KnownMistake("final_norm_of_the_last_block", "The final norm uses the weights of the last block's second norm.",
        gpt2, NORMED, 'normed = layer_norm(stream, layer_weights["norm_2_weight"], layer_weights.get("norm_2_bias"), eps)'),
    KnownMistake("final_norm_twice", "The final norm is applied twice.",
        gpt2, LOGITS, 'return linear(layer_norm(normed, weights["final_norm_weight"], weights.get("final_norm_bias"), eps), weights["token_embedding"], None)'),
    KnownMistake("final_norm_in_every_layer", "The final norm is applied after every block; it belongs after the last one alone.",
        gpt2, BLOCK, BLOCK + '\nstream = layer_norm(stream, weights["final_norm_weight"], weights.get("final_norm_bias"), eps)',
        also=(Edit(gpt2, NORMED, "normed = stream"),)),
    KnownMistake("final_eps_fixed", "The final norm has 1e-6 for eps; it is configured, 1e-5 in GPT-2.", gpt2, NORMED, NORMED.replace("eps)", "1e-6)")),
    # the head
    KnownMistake("head_detached", "The head uses the embedding through .data or detach(): its share of the gradient is lost.",
        gpt2, LOGITS, 'return linear(normed, weights["token_embedding"].detach(), None)'),
    KnownMistake("probabilities_returned", "You return probabilities (a softmax of the logits); the contract asks for the logits.",
        gpt2, LOGITS, 'return torch.softmax(linear(normed, weights["token_embedding"], None), -1)'),
    KnownMistake("log_probabilities_returned", "You return log-probabilities; the contract asks for the logits.",
        gpt2, LOGITS, 'return torch.log_softmax(linear(normed, weights["token_embedding"], None), -1)'),
    KnownMistake("last_position_only", "You return the logits of the last position alone (a shortcut for generation); the contract asks for all positions.",
        gpt2, LOGITS, 'return linear(normed[:, -1:], weights["token_embedding"], None)', seen_in=("karpathy/nanoGPT model.py, forward without targets",)),
    KnownMistake("logits_over_the_root_of_the_width", "The logits are divided by sqrt(D) (as T5 does with tied embeddings); GPT-2 does not.",
        gpt2, LOGITS, 'return linear(normed, weights["token_embedding"], None) * config.width ** -0.5'),
    KnownMistake("head_reads_positions_too", "The head sees the position embedding: it is added to the stream after the final norm.",
        gpt2, LOGITS, 'return linear(normed + places, weights["token_embedding"], None)'),
    # what must be refused, and what must not
    KnownMistake("full_context_refused", "As many ids as the context holds are refused; only more than that must be.",
        gpt2, TOO_LONG, "if time >= config.context:"),
    KnownMistake("cropped_to_the_last", "More ids than the context are cropped to the last ones in silence; that is the business of generation. Refuse them.",
        gpt2, "time = ids.shape[-1]", "ids = ids[:, -config.context :]\ntime = ids.shape[-1]"),
    KnownMistake("cropped_to_the_first", "More ids than the context are cropped to the first ones in silence. Refuse them.",
        gpt2, "time = ids.shape[-1]", "ids = ids[:, : config.context]\ntime = ids.shape[-1]"),
    KnownMistake("positions_wrapped", "Positions beyond the context wrap around to the first ones in silence. Refuse them.",
        gpt2, TOO_LONG, "if False:", also=(Edit(gpt2, POSITIONS, "positions = torch.arange(time, device=ids.device) % config.context"),)),
    KnownMistake("positions_clamped", "Positions beyond the context all get the last row of the position table in silence. Refuse them.",
        gpt2, TOO_LONG, "if False:", also=(Edit(gpt2, POSITIONS, "positions = torch.arange(time, device=ids.device).clamp(max=config.context - 1)"),)),
)
