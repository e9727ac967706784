"""Known mistakes in scaled dot-product attention."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.scaled_dot_product_attention import scaled_dot_product_attention
from reference_model.softmax import softmax

SCALE = "scale = 1.0 / math.sqrt(q.shape[-1])"
PRODUCTS = "products = q @ k.transpose(-2, -1)"
SCORES = "scores = products * scale"
HIDDEN = "hidden = torch.zeros_like(scores, dtype=torch.bool) if mask is None else ~mask"
MASKED = 'masked = scores.masked_fill(hidden, float("-inf"))'
IDLE = "idle = hidden.all(-1, keepdim=True)"
FILLED = "filled = masked.masked_fill(idle, 0.0)"
WEIGHTS = "weights = softmax(filled, dim=-1)"
USED = "used = weights.masked_fill(idle, 0.0)"
RESULT = "return used @ v"

KEEP_IDLE = (
    Edit(scaled_dot_product_attention, FILLED, "filled = masked"),
    Edit(scaled_dot_product_attention, USED, "used = weights"),
)
"""Queries that may attend to nothing get what the rest makes of them."""


def _bug(name, sentence, right, wrong, *also, **more):
    return KnownMistake(name, sentence, scaled_dot_product_attention, right, wrong, also=tuple(also), **more)


def _edit(right, wrong):
    return Edit(scaled_dot_product_attention, right, wrong)


MISTAKES = (
    # the mask
    _bug("mask_forgotten", "The mask is not used: every query attends to every key.", MASKED, "masked = scores"),
    _bug("mask_inverted", "The mask is inverted: True means that the query may attend to the key, as in torch's function of this name "
         "(torch.nn.MultiheadAttention has it the other way round).",
         HIDDEN, "hidden = torch.zeros_like(scores, dtype=torch.bool) if mask is None else mask",
         seen_in=("lucidrains/x-transformers@d731d82",)),
    _bug("mask_adds_true", "A boolean mask is added to the scores: it raises what may be seen by 1 and hides nothing.",
         MASKED, "masked = scores + ~hidden", *KEEP_IDLE, seen_in=("TransformerLensOrg/TransformerLens@42a2d52",)),
    _bug("mask_multiplied", "The scores are multiplied by the 0/1 mask: hidden ones become 0, and exp(0) is 1. They must be -inf.",
         MASKED, "masked = scores * ~hidden", *KEEP_IDLE),
    _bug("mask_after_softmax", "The mask is applied after the softmax, so the remaining weights no longer sum to one. Hide the scores with "
         "-inf before the softmax.",
         MASKED, "masked = scores", _edit(WEIGHTS, "weights = softmax(filled, dim=-1).masked_fill(hidden, 0.0)")),
    _bug("mask_fills_1e_9", "Hidden scores are set to 1e-9, which is nearly 0, and exp(0) is 1; you meant -1e9, or -inf.",
         MASKED, "masked = scores.masked_fill(hidden, 1e-9)", *KEEP_IDLE),
    _bug("mask_fills_smallest_positive", "Hidden scores are set to finfo.tiny, the smallest positive number, which is nearly 0; finfo.min is the "
         "lowest.",
         MASKED, "masked = scores.masked_fill(hidden, torch.finfo(scores.dtype).tiny)", *KEEP_IDLE,
         unnamed_because="1e-9 and 2e-308 weigh the same to the last digit", looks_like=("mask_fills_1e_9", "mask_multiplied")),
    _bug("mask_adds_minus_1e4", "Hidden keys only lose 1e4 from their score; where the scores themselves are that large they are still seen. "
         "Use -inf.",
         MASKED, "masked = scores - 1e4 * hidden", *KEEP_IDLE, seen_in=("huggingface/transformers#17306",)),
    _bug("mask_fills_minus_1e4", "Hidden scores are set to -1e4, which is not the smallest there is. Use -inf.",
         MASKED, "masked = scores.masked_fill(hidden, -1e4)", *KEEP_IDLE),
    _bug("mask_fills_minus_1e5", "Hidden scores are set to -1e5, which is not the smallest there is. Use -inf.",
         MASKED, "masked = scores.masked_fill(hidden, -1e5)", *KEEP_IDLE, seen_in=("TransformerLensOrg/TransformerLens@e9bbd6a",)),
    _bug("mask_fills_minus_1e9", "Hidden scores are set to -1e9: a query that may attend to nothing gets the mean of what is hidden from it. Set "
         "its weights to zero.",
         MASKED, "masked = scores.masked_fill(hidden, -1e9)", *KEEP_IDLE, looks_like=("variant=mean_of_hidden",)),
    _bug("mask_adds_minus_1e9", "Hidden keys lose 1e9 from their score: where all are hidden, all are seen as if there were no mask. Set the "
         "weights of such a query to zero.",
         MASKED, "masked = scores - 1e9 * hidden", *KEEP_IDLE),
    _bug("mask_adds_the_lowest_number", "finfo.min is added to hidden scores, which can overflow to -inf, and where all are hidden all weigh the same; use "
         "masked_fill with -inf, and zeros for such a query.",
         MASKED, "masked = scores + torch.finfo(scores.dtype).min * hidden", *KEEP_IDLE,
         looks_like=("mask_fills_minus_1e9", "variant=mean_of_hidden"), seen_in=("huggingface/transformers#17306", "huggingface/transformers#17437")),
    _bug("mask_transposed", "The mask is read as [keys, queries]; it is [queries, keys].",
         HIDDEN, "hidden = torch.zeros_like(scores, dtype=torch.bool) if mask is None else ~mask.transpose(-2, -1)"),
    _bug("mask_of_the_first_row", "Every row of the batch uses the mask of the first.",
         HIDDEN, "hidden = torch.zeros_like(scores, dtype=torch.bool) if mask is None else ~(mask if mask.dim() == 2 else mask[:1])"),
    _bug("mask_of_the_first_query", "The mask of the first query is used for all of them, as a padding mask would be.",
         HIDDEN, "hidden = torch.zeros_like(scores, dtype=torch.bool) if mask is None else ~mask[..., :1, :].expand(mask.shape)"),
    _bug("is_causal_always", "A causal mask is applied on top of the given one; which keys may be seen is the mask's business alone.",
         HIDDEN, "hidden = torch.ones_like(scores, dtype=torch.bool).triu(1) | (torch.zeros_like(scores, dtype=torch.bool) if mask is None else ~mask)"),
    _bug("is_causal_without_a_mask", "Without a mask a causal one is used; None allows all.",
         HIDDEN, "hidden = torch.ones_like(scores, dtype=torch.bool).triu(1) if mask is None else ~mask"),
    _bug("idle_queries_see_all", "A query that may attend to nothing attends to everything.",
         USED, "used = torch.where(idle, softmax(scores, dim=-1), weights)", looks_like=("mask_adds_minus_1e9",)),
    # the scale
    _bug("unscaled", "The scores are not divided by sqrt(K).", SCALE, "scale = 1.0"),
    _bug("scaled_by_the_size_itself", "The scores are divided by K, not by its root.", SCALE, "scale = 1.0 / q.shape[-1]"),
    _bug("multiplied_by_the_root", "The scores are multiplied by sqrt(K); they must be divided by it.", SCALE, "scale = math.sqrt(q.shape[-1])"),
    _bug("scaled_by_the_number_of_keys", "You divide the scores by sqrt(S), the root of the number of keys; it is sqrt(K), the root of their size.",
         SCALE, "scale = 1.0 / math.sqrt(k.shape[-2])"),
    _bug("scaled_by_the_number_of_queries", "You divide the scores by sqrt(T), the root of the number of queries; it is sqrt(K), the root of their size.",
         SCALE, "scale = 1.0 / math.sqrt(q.shape[-2])"),
    _bug("scaled_by_the_value_size", "You divide the scores by the root of the size of the values; it is sqrt(K), the root of the size of the keys.",
         SCALE, "scale = 1.0 / math.sqrt(v.shape[-1])"),
    _bug("scaled_by_the_width", "You divide the scores by the root of heads times K, the width; it is sqrt(K), the root of the size of one head.",
         SCALE, "scale = 1.0 / math.sqrt(q.shape[-1] * (q.shape[-3] if q.dim() > 3 else 1))",
         seen_in=("karpathy/ng-video-lecture#6", "omihub777/ViT-CIFAR#12", "juho-lee/set_transformer#18")),
    _bug("scaled_once_by_the_fourth_root", "The fourth root of K divides only one of q and k; it must divide both.", SCALE, "scale = q.shape[-1] ** -0.25"),
    _bug("scaled_after_softmax", "The weights are divided by sqrt(K) after the softmax; it must be the scores, before it.",
         SCORES, "scores = products", _edit(WEIGHTS, "weights = softmax(filled, dim=-1) * scale")),
    _bug("scaled_after_the_mask", "The scores are masked with a finite number before they are scaled, which shrinks the mask too.",
         MASKED, "masked = (products - 1e4 * hidden) * scale", *KEEP_IDLE),
    # scores and weights
    _bug("keys_times_queries", "The scores are K Q^T; they are Q K^T: rows are queries, columns keys.",
         PRODUCTS, "products = k @ q.transpose(-2, -1)", seen_in=("karpathy/llm.c@c116fbf",)),
    _bug("queries_viewed", "The keys are viewed as [K, S] without being transposed: the numbers end up in other places.",
         PRODUCTS, "products = q @ k.reshape(*k.shape[:-2], k.shape[-1], k.shape[-2])"),
    _bug("distances_for_products", "The scores are negative squared distances; they are products of query and key.",
         PRODUCTS, "products = -(q.unsqueeze(-2) - k.unsqueeze(-3)).pow(2).sum(-1)"),
    _bug("normalised_queries_and_keys", "Queries and keys are brought to length 1 first; their products are taken as they are.",
         PRODUCTS, "products = torch.nn.functional.normalize(q, dim=-1) @ torch.nn.functional.normalize(k, dim=-1).transpose(-2, -1)"),
    _bug("softmax_over_queries", "The softmax runs over the queries (dim=-2); it must run over the keys (dim=-1).",
         WEIGHTS, "weights = softmax(filled, dim=-2)"),
    _bug("softmax_over_heads", "The softmax runs over axis 1, which is the heads where there are any; it must run over the keys (dim=-1).",
         WEIGHTS, "weights = softmax(filled, dim=1)"),
    _bug("softmax_over_the_batch", "The softmax runs over the batch (dim=0); it must run over the keys (dim=-1).",
         WEIGHTS, "weights = softmax(filled, dim=0)"),
    _bug("softmax_twice", "The softmax is taken twice; hidden keys get weight back.", WEIGHTS, "weights = softmax(softmax(filled, dim=-1), dim=-1)"),
    _bug("softmax_forgotten", "There is no softmax: the scores themselves are the weights.", WEIGHTS, "weights = scores.masked_fill(hidden, 0.0)"),
    _bug("sigmoid_for_softmax", "You use a sigmoid; the weights must sum to one: softmax over the keys.", WEIGHTS, "weights = torch.sigmoid(filled)"),
    KnownMistake("softmax_without_the_maximum", "The exponentials are taken without removing the largest score first: they overflow.",
        softmax, "shifted = x - highest", "shifted = x"),
    KnownMistake("softmax_plus_one", "There is one more in the denominator of the softmax: the weights no longer sum to one.",
        softmax, "total = exponential.sum(dim, keepdim=True)", "total = exponential.sum(dim, keepdim=True) + torch.exp(-highest)"),
    KnownMistake("softmax_with_epsilon", "A small number is added to the denominator of the softmax: the weights no longer sum to one.",
        softmax, "total = exponential.sum(dim, keepdim=True)", "total = exponential.sum(dim, keepdim=True) + 1e-6"),
    _bug("softmax_in_bfloat16", "The softmax is taken in bfloat16: two digits are left.", WEIGHTS, "weights = softmax(filled.to(torch.bfloat16), dim=-1).to(q.dtype)"),
    _bug("softmax_in_float16", "The softmax is taken in float16: three digits are left, and scores above 65504 overflow.",
         WEIGHTS, "weights = softmax(filled.to(torch.float16), dim=-1).to(q.dtype)"),
    _bug("keys_for_values", "The weights are applied to the keys; it must be the values.", RESULT, "return used @ k"),
    _bug("queries_for_keys", "The scores are Q Q^T; the keys are not used.", PRODUCTS, "products = q @ q.transpose(-2, -1)"),
    _bug("weights_transposed", "The weights are transposed before they are applied to the values.", RESULT, "return used.transpose(-2, -1) @ v"),
    _bug("scores_unused", "The scores are not used: every query takes the plain mean of what it may see.",
         MASKED, 'masked = torch.zeros_like(scores).masked_fill(hidden, float("-inf"))'),
    _bug("weights_returned", "The weights are returned; it is their mean of the values.", RESULT, "return used"),
    _bug("both_returned", "A pair of result and weights is returned; the result alone is asked for.", RESULT, "return used @ v, used"),
    _bug("leading_axes_exchanged", "Batch and heads have changed places in the result.",
         RESULT, "return (used @ v).transpose(0, 1) if v.dim() > 3 else used @ v"),
    _bug("four_axes_only", "It takes q, k and v with four axes only; leading axes are free.",
         PRODUCTS, "batch, heads, queries, size = q.shape\nproducts = q @ k.transpose(-2, -1)"),
    _bug("values_of_the_keys_size", "It takes the size of the values to be that of the keys: the result is viewed as [..., T, K].",
         RESULT, "return (used @ v).reshape(q.shape)"),
    # gradients and side effects
    _bug("weights_detached", "The attention weights are detached (or computed under no_grad): q and k receive no gradient.",
         WEIGHTS, "weights = softmax(filled, dim=-1).detach()"),
    _bug("queries_detached", "The queries are detached: they receive no gradient.", PRODUCTS, "products = q.detach() @ k.transpose(-2, -1)"),
    _bug("keys_detached", "The keys are detached: they receive no gradient.", PRODUCTS, "products = q @ k.detach().transpose(-2, -1)"),
    _bug("values_detached", "The values are detached: they receive no gradient.", RESULT, "return used @ v.detach()"),
    _bug("dropout_left_on", "Dropout of the attention weights is on though you are not training: pass dropout_p=0.0, or training=self.training.",
         USED, "used = torch.nn.functional.dropout(weights.masked_fill(idle, 0.0), 0.1, training=True)",
         seen_in=("karpathy/nanoGPT#240", "pytorch/pytorch#124464", "wenet-e2e/wenet#2699")),
    _bug("queries_scaled_in_place", "q *= scale changes the caller's tensor.",
         PRODUCTS, "q.data.mul_(scale)\nproducts = q @ k.transpose(-2, -1)", _edit(SCORES, "scores = products")),
    _bug("mask_inverted_in_place", "The mask is inverted in place: the caller's tensor changes, and the next call hides what this one showed.",
         HIDDEN, "hidden = torch.zeros_like(scores, dtype=torch.bool) if mask is None else mask.logical_not_()"),
    _bug("mask_kept", "The mask of the first call is kept for every later one of the same sizes.",
         HIDDEN, "hidden = scaled_dot_product_attention.__dict__.setdefault((scores.shape, mask is None), "
         "torch.zeros_like(scores, dtype=torch.bool) if mask is None else ~mask)"),
    _bug("weights_kept", "The weights of the first call are kept for every later one of the same sizes.",
         USED, "used = scaled_dot_product_attention.__dict__.setdefault((scores.shape, mask is None, q.dtype), weights.masked_fill(idle, 0.0))"),
)
