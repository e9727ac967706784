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
"""Fully masked queries get no special treatment."""


def _bug(name, sentence, right, wrong, *also, **more):
    return KnownMistake(name, sentence, scaled_dot_product_attention, right, wrong, also=tuple(also), **more)


def _edit(right, wrong):
    return Edit(scaled_dot_product_attention, right, wrong)


MISTAKES = (
    # the mask
    _bug("mask_forgotten", "The mask is ignored: every query attends to every key.", MASKED, "masked = scores"),
    _bug("mask_inverted", "The mask is inverted. True means that the query may attend to the key, as in torch's function of this name (torch.nn.MultiheadAttention uses the opposite: if yours is meant so, declare scaled_dot_product_attention=true_hides).",
         HIDDEN, "hidden = torch.zeros_like(scores, dtype=torch.bool) if mask is None else mask",
         seen_in=("lucidrains/x-transformers@d731d82",), looks_like=("variant=true_hides",)),
    _bug("boolean_mask_added", "The boolean mask is added to the scores: allowed scores rise by 1, and no key is masked. If yours is a mask of 0 and -inf, declare scaled_dot_product_attention=additive.",
         MASKED, "masked = scores + ~hidden", *KEEP_IDLE, seen_in=("TransformerLensOrg/TransformerLens@42a2d52",), aliases=("mask_adds_true",), looks_like=("variant=additive",)),
    _bug("mask_multiplied", "The scores are multiplied by the 0/1 mask: masked scores become 0, and exp(0) is 1. They must be -inf.",
         MASKED, "masked = scores * ~hidden", *KEEP_IDLE),
    _bug("mask_after_softmax", "The mask is applied after the softmax, so the remaining weights no longer sum to one. Set the scores to -inf before the softmax.",
         MASKED, "masked = scores", _edit(WEIGHTS, "weights = softmax(filled, dim=-1).masked_fill(hidden, 0.0)")),
    _bug("mask_fills_1e_9", "Masked scores are set to 1e-9, which is nearly 0, and exp(0) is 1. Use -inf (or -1e9, which was probably meant).",
         MASKED, "masked = scores.masked_fill(hidden, 1e-9)", *KEEP_IDLE),
    _bug("mask_fills_finfo_tiny", "Masked scores are set to finfo.tiny, the smallest positive number, which is nearly 0. The lowest number is finfo.min.",
         MASKED, "masked = scores.masked_fill(hidden, torch.finfo(scores.dtype).tiny)", *KEEP_IDLE,
         unnamed_because="1e-9 and 2e-308 give the same weights to the last digit", looks_like=("mask_fills_1e_9", "mask_multiplied"), aliases=("mask_fills_smallest_positive",)),
    _bug("mask_adds_minus_100", "Masked scores are lowered by only 100. Scores of that size do occur, and then masked keys get weight. Use -inf.",
         MASKED, "masked = scores - 100.0 * hidden", *KEEP_IDLE),
    _bug("mask_adds_minus_1000", "Masked scores are lowered by only 1000. If the scores themselves are that large, masked keys still get weight. Use -inf.",
         MASKED, "masked = scores - 1000.0 * hidden", *KEEP_IDLE),
    _bug("mask_fills_minus_100", "Masked scores are set to -100, and real scores can be lower. Use -inf.",
         MASKED, "masked = scores.masked_fill(hidden, -100.0)", *KEEP_IDLE),
    _bug("mask_adds_minus_1e4", "Masked scores are lowered by only 1e4. If the scores themselves are that large, masked keys still get weight. Use -inf.",
         MASKED, "masked = scores - 1e4 * hidden", *KEEP_IDLE, seen_in=("huggingface/transformers#17306",)),
    _bug("mask_fills_minus_1e4", "Masked scores are set to -1e4, and real scores can be lower. Use -inf.",
         MASKED, "masked = scores.masked_fill(hidden, -1e4)", *KEEP_IDLE),
    _bug("mask_fills_minus_1e5", "Masked scores are set to -1e5, and real scores can be lower. Use -inf.",
         MASKED, "masked = scores.masked_fill(hidden, -1e5)", *KEEP_IDLE, seen_in=("TransformerLensOrg/TransformerLens@e9bbd6a",)),
    _bug("mask_fills_minus_1e9", "Masked scores are set to -1e9: a query with every key masked gets the mean of the masked values. Set its weights to zero.",
         MASKED, "masked = scores.masked_fill(hidden, -1e9)", *KEEP_IDLE, looks_like=("variant=mean_of_hidden",)),
    _bug("mask_adds_minus_1e9", "Masked scores are lowered by 1e9: a query with every key masked attends as if there were no mask. Set its weights to zero.",
         MASKED, "masked = scores - 1e9 * hidden", *KEEP_IDLE),
    _bug("mask_adds_finfo_min", "finfo.min is added to masked scores. This can overflow to -inf, and a query with every key masked gets equal weights. Use masked_fill with -inf, and zero weights for such a query.",
         MASKED, "masked = scores + torch.finfo(scores.dtype).min * hidden", *KEEP_IDLE,
         looks_like=("mask_fills_minus_1e9", "variant=mean_of_hidden"), seen_in=("huggingface/transformers#17306", "huggingface/transformers#17437"), aliases=("mask_adds_the_lowest_number",)),
    _bug("mask_transposed", "The mask is read as [keys, queries]. It is [queries, keys].",
         HIDDEN, "hidden = torch.zeros_like(scores, dtype=torch.bool) if mask is None else ~mask.transpose(-2, -1)"),
    _bug("mask_of_the_first_row", "Every row of the batch uses the mask of the first row.",
         HIDDEN, "hidden = torch.zeros_like(scores, dtype=torch.bool) if mask is None else ~(mask if mask.dim() == 2 else mask[:1])"),
    _bug("mask_of_the_first_query", "Every query uses the mask of the first query, as if it were a padding mask.",
         HIDDEN, "hidden = torch.zeros_like(scores, dtype=torch.bool) if mask is None else ~mask[..., :1, :].expand(mask.shape)"),
    _bug("is_causal_always", "A causal mask is applied in addition to the given mask. Only the given mask decides which keys are visible.",
         HIDDEN, "hidden = torch.ones_like(scores, dtype=torch.bool).triu(1) | (torch.zeros_like(scores, dtype=torch.bool) if mask is None else ~mask)"),
    _bug("is_causal_without_a_mask", "Without a mask a causal mask is applied. mask=None allows every key.",
         HIDDEN, "hidden = torch.ones_like(scores, dtype=torch.bool).triu(1) if mask is None else ~mask"),
    _bug("fully_masked_queries_see_all", "A query with every key masked attends to every key. Set its weights to zero.",
         USED, "used = torch.where(idle, softmax(scores, dim=-1), weights)", looks_like=("mask_adds_minus_1e9",), aliases=("idle_queries_see_all",)),
    # the scale
    _bug("unscaled", "The scores are not divided by sqrt(K).", SCALE, "scale = 1.0"),
    _bug("scaled_by_head_size_without_root", "The scores are divided by K. Divide them by sqrt(K).", SCALE, "scale = 1.0 / q.shape[-1]", aliases=("scaled_by_the_size_itself",)),
    _bug("multiplied_by_the_root", "The scores are multiplied by sqrt(K). They must be divided by it.", SCALE, "scale = math.sqrt(q.shape[-1])"),
    _bug("scaled_by_the_number_of_keys", "The scores are divided by sqrt(S), with S the number of keys. Divide by sqrt(K), with K the size of a key.",
         SCALE, "scale = 1.0 / math.sqrt(k.shape[-2])"),
    _bug("scaled_by_the_number_of_queries", "The scores are divided by sqrt(T), with T the number of queries. Divide by sqrt(K), with K the size of a query.",
         SCALE, "scale = 1.0 / math.sqrt(q.shape[-2])"),
    _bug("scaled_by_the_value_size", "The scores are divided by the square root of the value size. Divide by sqrt(K), with K the size of a key.",
         SCALE, "scale = 1.0 / math.sqrt(v.shape[-1])"),
    _bug("scaled_by_width", "The scores are divided by the square root of the model width, heads times K. Divide by sqrt(K), with K the size of one head.",
         SCALE, "scale = 1.0 / math.sqrt(q.shape[-1] * (q.shape[-3] if q.dim() > 3 else 1))",
         seen_in=("karpathy/ng-video-lecture#6", "omihub777/ViT-CIFAR#12", "juho-lee/set_transformer#18"), aliases=("scaled_by_the_width",)),
    _bug("fourth_root_applied_once", "Only one of q and k is divided by the fourth root of K. Divide both.", SCALE, "scale = q.shape[-1] ** -0.25", aliases=("scaled_once_by_the_fourth_root",)),
    _bug("scaled_after_softmax", "The weights are divided by sqrt(K) after the softmax. Divide the scores, before the softmax.",
         SCORES, "scores = products", _edit(WEIGHTS, "weights = softmax(filled, dim=-1) * scale")),
    _bug("scaled_after_the_mask", "The scores are masked with a finite number before they are scaled. This shrinks the mask too.",
         MASKED, "masked = (products - 1e4 * hidden) * scale", *KEEP_IDLE),
    # scores and weights
    _bug("keys_times_queries", "The scores are K Q^T. They are Q K^T: rows are queries, columns are keys.",
         PRODUCTS, "products = k @ q.transpose(-2, -1)", seen_in=("karpathy/llm.c@c116fbf",)),
    _bug("keys_reshaped_not_transposed", "The keys are reshaped to [K, S] where they must be transposed. The entries end up in the wrong places.",
         PRODUCTS, "products = q @ k.reshape(*k.shape[:-2], k.shape[-1], k.shape[-2])", aliases=("queries_viewed",)),
    _bug("distances_for_products", "The scores are negative squared distances. They are dot products of query and key.",
         PRODUCTS, "products = -(q.unsqueeze(-2) - k.unsqueeze(-3)).pow(2).sum(-1)"),
    _bug("normalised_queries_and_keys", "Queries and keys are normalised to length 1 first. Use the dot products of the raw queries and keys.",
         PRODUCTS, "products = torch.nn.functional.normalize(q, dim=-1) @ torch.nn.functional.normalize(k, dim=-1).transpose(-2, -1)"),
    _bug("softmax_over_queries", "The softmax runs over the queries (dim=-2). It must run over the keys (dim=-1).",
         WEIGHTS, "weights = softmax(filled, dim=-2)"),
    _bug("softmax_over_heads", "The softmax runs over axis 1, the heads where there are any. It must run over the keys (dim=-1).",
         WEIGHTS, "weights = softmax(filled, dim=1)"),
    _bug("softmax_over_the_batch", "The softmax runs over the batch (dim=0). It must run over the keys (dim=-1).",
         WEIGHTS, "weights = softmax(filled, dim=0)"),
    _bug("softmax_twice", "The softmax is applied twice: masked keys get weight again.", WEIGHTS, "weights = softmax(softmax(filled, dim=-1), dim=-1)"),
    _bug("softmax_forgotten", "There is no softmax: the raw scores are used as weights.", WEIGHTS, "weights = scores.masked_fill(hidden, 0.0)"),
    _bug("sigmoid_for_softmax", "The weights come from a sigmoid. They must sum to one: use a softmax over the keys.", WEIGHTS, "weights = torch.sigmoid(filled)"),
    KnownMistake("maximum_not_subtracted", "The largest score is not subtracted before the exponential: it overflows.",
        softmax, "shifted = x - highest", "shifted = x", aliases=("softmax_without_the_maximum",)),
    KnownMistake("softmax_plus_one", "One is added to the denominator of the softmax (softmax1): the weights no longer sum to one.",
        softmax, "total = exponential.sum(dim, keepdim=True)", "total = exponential.sum(dim, keepdim=True) + torch.exp(-highest)"),
    KnownMistake("softmax_with_epsilon", "An epsilon is added to the denominator of the softmax: the weights no longer sum to one.",
        softmax, "total = exponential.sum(dim, keepdim=True)", "total = exponential.sum(dim, keepdim=True) + 1e-6"),
    _bug("softmax_in_bfloat16", "The softmax is computed in bfloat16, which keeps about two significant digits.", WEIGHTS, "weights = softmax(filled.to(torch.bfloat16), dim=-1).to(q.dtype)"),
    _bug("softmax_in_float16", "The softmax is computed in float16, which keeps about three significant digits, and scores above 65504 overflow.",
         WEIGHTS, "weights = softmax(filled.to(torch.float16), dim=-1).to(q.dtype)"),
    _bug("keys_for_values", "The weights are applied to the keys. Apply them to the values.", RESULT, "return used @ k"),
    _bug("queries_for_keys", "The scores are Q Q^T; the keys are not used.", PRODUCTS, "products = q @ q.transpose(-2, -1)"),
    _bug("weights_transposed", "The weights are transposed before they are applied to the values.", RESULT, "return used.transpose(-2, -1) @ v"),
    _bug("scores_unused", "The scores are not used: every query takes the mean of the visible values.",
         MASKED, 'masked = torch.zeros_like(scores).masked_fill(hidden, float("-inf"))'),
    _bug("weights_returned", "The function returns the attention weights. It must return the weighted mean of the values.", RESULT, "return used"),
    _bug("weights_returned_too", "The function returns the result and the weights. It must return only the result.", RESULT, "return used @ v, used", aliases=("both_returned",)),
    _bug("batch_and_heads_exchanged", "Batch and heads are exchanged in the result.",
         RESULT, "return (used @ v).transpose(0, 1) if v.dim() > 3 else used @ v", aliases=("leading_axes_exchanged",)),
    _bug("four_axes_only", "Only four-dimensional q, k and v are accepted. Any number of batch dimensions is allowed.",
         PRODUCTS, "batch, heads, queries, size = q.shape\nproducts = q @ k.transpose(-2, -1)"),
    _bug("value_size_assumed_equal_to_key_size", "The result is reshaped to [..., T, K]. The values may have another size than the keys.",
         RESULT, "return (used @ v).reshape(q.shape)", aliases=("values_of_the_keys_size",)),
    # gradients and side effects
    _bug("weights_detached", "The attention weights are detached (or computed under no_grad): q and k receive no gradient.",
         WEIGHTS, "weights = softmax(filled, dim=-1).detach()"),
    _bug("queries_detached", "The queries are detached: they receive no gradient.", PRODUCTS, "products = q.detach() @ k.transpose(-2, -1)"),
    _bug("keys_detached", "The keys are detached: they receive no gradient.", PRODUCTS, "products = q @ k.detach().transpose(-2, -1)"),
    _bug("values_detached", "The values are detached: they receive no gradient.", RESULT, "return used @ v.detach()"),
    _bug("dropout_left_on", "Dropout of the attention weights is active outside training. Pass dropout_p=0.0, or training=self.training.",
         USED, "used = torch.nn.functional.dropout(weights.masked_fill(idle, 0.0), 0.1, training=True)",
         seen_in=("karpathy/nanoGPT#240", "pytorch/pytorch#124464", "wenet-e2e/wenet#2699")),
    _bug("queries_scaled_in_place", "q *= scale modifies the caller's tensor.",
         PRODUCTS, "q.data.mul_(scale)\nproducts = q @ k.transpose(-2, -1)", _edit(SCORES, "scores = products")),
    _bug("mask_inverted_in_place", "The mask is inverted in place: the caller's tensor changes, and the next call uses the opposite mask.",
         HIDDEN, "hidden = torch.zeros_like(scores, dtype=torch.bool) if mask is None else mask.logical_not_()"),
    _bug("mask_cached_across_calls", "The mask of the first call is cached and reused in every later call with the same shapes.",
         HIDDEN, "hidden = scaled_dot_product_attention.__dict__.setdefault((scores.shape, mask is None), "
         "torch.zeros_like(scores, dtype=torch.bool) if mask is None else ~mask)", aliases=("mask_kept",)),
    _bug("weights_cached_across_calls", "The attention weights of the first call are cached and reused in every later call with the same shapes.",
         USED, "used = scaled_dot_product_attention.__dict__.setdefault((scores.shape, mask is None, q.dtype), weights.masked_fill(idle, 0.0))", aliases=("weights_kept",)),
)
