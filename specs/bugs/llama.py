"""Known mistakes in assembling a Llama. (Mistakes inside its parts belong to the parts.)"""

from harness.core.mistake import Edit, KnownMistake
from reference_model.llama import llama

EPS = 'eps = getattr(config, "norm_eps", 1e-5)'
ROPE_BASE = 'rope_base = getattr(config, "rope_base", 10000.0)'
TOKENS = 'tokens = token_embedding(ids, weights["token_embedding"])'
STREAM = "stream = tokens * embedding_scale"
LAYERS = 'for index, layer_weights in enumerate(weights["blocks"]):'
IS_LOCAL = "is_local = full_every is None or (index + 1) % full_every != 0"
SEES = "sees = window if is_local else None"
BASE = "base = local_base if is_local and local_base is not None else rope_base"
BLOCK = "stream = llama_block(stream, layer_weights, config.heads, kv_heads, base, sees, eps, size, attention_mask)"
NORMED = 'normed = norm(stream, weights.get("final_norm_weight"), eps)'
HEAD = 'head = weights["token_embedding"] if head_weight is None else head_weight'
LOGITS = "logits = linear(normed, head)"
RESULT = "return logits if softcap is None else softcap * torch.tanh(logits / softcap)"
ROOT_OF_WIDTH = 'embedding_scale = weights["token_embedding"].shape[-1] ** 0.5'

MISTAKES = (
    # the embedding
    KnownMistake("ids_shifted_by_one", "The ids are shifted by one inside the model: each position sees the next id.",
        llama, TOKENS, 'tokens = token_embedding(ids.roll(-1, -1), weights["token_embedding"])'),
    KnownMistake("embedding_scale_missing", "The embeddings are not multiplied by the root of the width, as Gemma's are.",
        llama, ROOT_OF_WIDTH, "embedding_scale = 1.0", under=("embedding_scale=root_of_width",)),
    KnownMistake("embedding_scaled_by_width", "The embeddings are multiplied by the width. It must be its root.",
        llama, ROOT_OF_WIDTH, 'embedding_scale = weights["token_embedding"].shape[-1]', under=("embedding_scale=root_of_width",)),
    KnownMistake("tied_head_scaled_too", "The scale of the embeddings is applied to the head as well. It belongs to the embeddings alone.",
        llama, HEAD, 'head = weights["token_embedding"] * embedding_scale if head_weight is None else head_weight', under=("embedding_scale=root_of_width",)),
    KnownMistake("embedding_dropout_left_on", "Dropout after the embeddings is active outside training.",
        llama, STREAM, "stream = torch.nn.functional.dropout(tokens * embedding_scale, 0.1, training=True)"),
    # the blocks
    KnownMistake("last_block_skipped", "The last block is not run.", llama, LAYERS, 'for index, layer_weights in enumerate(weights["blocks"][:-1]):'),
    KnownMistake("first_block_skipped", "The first block is not run.", llama, LAYERS, 'for index, layer_weights in enumerate(weights["blocks"][1:]):'),
    KnownMistake("last_block_twice", "The last block is run twice.", llama, LAYERS, 'for index, layer_weights in enumerate([*weights["blocks"], weights["blocks"][-1]]):'),
    KnownMistake("blocks_in_reverse", "The blocks are run from the last to the first.", llama, LAYERS, 'for index, layer_weights in enumerate(weights["blocks"][::-1]):'),
    KnownMistake("first_block_for_all", "Every layer uses the weights of the first one: the same block was put into the list again and again.",
        llama, BLOCK, BLOCK.replace("layer_weights", 'weights["blocks"][0]')),
    KnownMistake("last_block_for_all", "Every layer uses the weights of the last one.", llama, BLOCK, BLOCK.replace("layer_weights", 'weights["blocks"][-1]')),
    KnownMistake("only_the_last_block_counts", "Every block reads the embeddings, and only the last result is used: the loop does not pass the stream on.",
        llama, LAYERS, "start = stream\n" + LAYERS, also=(Edit(llama, BLOCK, BLOCK.replace("(stream,", "(start,")),)),
    KnownMistake("detached_between_blocks", "The stream is detached between the blocks: earlier layers and the embeddings receive too little gradient or none.",
        llama, BLOCK, BLOCK.replace("(stream,", "(stream.detach(),")),
    # what the blocks are told
    KnownMistake("rope_base_fixed", "The blocks rotate with the base 10000, whatever is configured (Llama 3: 500000).",
        llama, ROPE_BASE, 'rope_base = min(getattr(config, "rope_base", 10000.0), 10000.0)'),
    KnownMistake("block_eps_not_passed", "The blocks use the default eps of 1e-5. They must use the configured one.", llama, BLOCK, BLOCK.replace("eps, size, attention_mask)", "head_size=size, attention_mask=attention_mask)")),
    KnownMistake("window_ignored", "Every layer sees all positions, whatever window is configured.", llama, SEES, "sees = None"),
    KnownMistake("local_and_full_layers_exchanged", "The layers that see the window alone and those that see all positions are exchanged.",
        llama, IS_LOCAL, "is_local = not (full_every is None or (index + 1) % full_every != 0)", under=("window_layers=alternate",)),
    KnownMistake("local_base_for_all", "Every layer rotates with the base of those that see the window alone.",
        llama, BASE, "base = local_base", under=("window_layers=alternate", "local_base=100")),
    KnownMistake("bases_exchanged", "The base of layers that see the window alone and that of the others are exchanged.",
        llama, BASE, "base = rope_base if is_local else local_base", under=("window_layers=alternate", "local_base=100")),
    # the end
    KnownMistake("final_norm_forgotten", "The norm before the head is missing.", llama, NORMED, "normed = stream"),
    KnownMistake("final_norm_without_gain", "The norm before the head has no gain: its weight is not used.", llama, NORMED, "normed = norm(stream, None, eps)"),
    KnownMistake("final_norm_eps_fixed", "eps of the final norm is fixed at 1e-6, whatever is configured.", llama, NORMED, 'normed = norm(stream, weights.get("final_norm_weight"), 1e-6)'),
    KnownMistake("final_norm_of_the_first_block", "The first norm of the first block is used again before the head. The final norm has its own weight.",
        llama, NORMED, 'normed = norm(stream, weights["blocks"][0].get("norm_1_weight"), eps)'),
    KnownMistake("head_tied", "The token embedding is used as the head, though the weights have a head of their own: it is lost on loading.",
        llama, HEAD, 'head = weights["token_embedding"]'),
    KnownMistake("head_for_the_embedding", "The head is used as the token embedding too, though the two are separate.",
        llama, TOKENS, 'tokens = token_embedding(ids, weights["token_embedding"] if head_weight is None else head_weight)'),
    KnownMistake("probabilities_returned", "The softmax of the logits is returned. Return the logits.", llama, RESULT, "return logits.softmax(-1)"),
    KnownMistake("log_probabilities_returned", "The log-softmax of the logits is returned. Return the logits.", llama, RESULT, "return logits.log_softmax(-1)"),
    KnownMistake("logits_divided_by_root_of_width", "The logits are divided by sqrt(D). Llama's are not.", llama, LOGITS, "logits = linear(normed, head) / stream.shape[-1] ** 0.5"),
    KnownMistake("final_softcap_forgotten", "The logits are not capped.", llama, RESULT, "return logits", under=("final_softcap=2",)),
    KnownMistake("final_softcap_not_scaled_back", "The logits are tanh(logit / cap). They must be multiplied by the cap again.",
        llama, RESULT, "return torch.tanh(logits / softcap)", under=("final_softcap=2",)),
    KnownMistake("last_position_only", "The logits of the last position alone are returned, repeated. Return those of every position.",
        llama, LOGITS, "logits = linear(normed[:, -1:].expand_as(normed), head)"),
    KnownMistake("full_context_refused", "A text that fills the context window is refused: the comparison is >= where it must be >.",
        llama, EPS, 'eps = getattr(config, "norm_eps", 1e-5)\nif ids.shape[-1] >= config.context:\n    raise ValueError("too many ids")'),
    KnownMistake("attention_mask_not_passed_on", "The model takes an attention mask and does not pass it to its blocks.",
        llama, BLOCK, "stream = llama_block(stream, layer_weights, config.heads, kv_heads, base, sees, eps, size)", looks_like=("grouped_query_attention.attention_mask_ignored", "llama_block.attention_mask_not_passed_on")),
)
