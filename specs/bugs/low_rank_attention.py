"""Known mistakes in low-rank attention, with keys and values projected along time."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.low_rank_attention import low_rank_attention

KEYS, VALUES = "keys = key_projection @ k", "values = value_projection @ v"
SCALE = "scale = 1.0 / math.sqrt(q.shape[-1])"
SCORES = "scores = q @ keys.transpose(-2, -1) * scale"
SOFTMAX = "weights = softmax(scores, dim=-1)"
RESULT = "return weights @ values"
low = low_rank_attention

CAUSAL = """
scores = q @ keys.transpose(-2, -1) * scale
place = __import__("torch").arange(scores.shape[-2], device=q.device).unsqueeze(-1)
later = __import__("torch").arange(scores.shape[-1], device=q.device) > place
scores = scores.masked_fill(later, float("-inf"))
"""

MISTAKES = (
    # the projections
    KnownMistake("projections_exchanged", "The key projection and the value projection are exchanged.", low, KEYS, "keys = value_projection @ k", also=(Edit(low, VALUES, "values = key_projection @ v"),)),
    KnownMistake("key_projection_for_values", "The values are projected with the key projection. They have a projection of their own.", low, VALUES, "values = key_projection @ v + 0 * value_projection.sum()"),
    KnownMistake("value_projection_for_keys", "The keys are projected with the value projection. They have a projection of their own.", low, KEYS, "keys = value_projection @ k + 0 * key_projection.sum()"),
    KnownMistake("projection_reshaped_not_transposed", "A [T, R] projection is reshaped to [R, T] where it must be transposed. The entries end up in the wrong places.",
        low, KEYS, "keys = key_projection.transpose(0, 1).reshape(key_projection.shape) @ k",
        also=(Edit(low, VALUES, "values = value_projection.transpose(0, 1).reshape(value_projection.shape) @ v"),), aliases=("projection_viewed",)),
    KnownMistake("projections_transposed", "Your projections are [T, R]. They must be [R, T], as in torch.nn.Linear(T, R).",
        low, KEYS, "keys = key_projection.transpose(0, 1) @ k", also=(Edit(low, VALUES, "values = value_projection.transpose(0, 1) @ v"),)),
    KnownMistake("projections_normalised", "A softmax is applied to the rows of the projections. Use them as they are.",
        low, KEYS, "keys = softmax(key_projection, dim=-1) @ k", also=(Edit(low, VALUES, "values = softmax(value_projection, dim=-1) @ v"),)),
    KnownMistake("divided_by_the_length", "The projected keys and values are divided by the number of positions.",
        low, KEYS, "keys = key_projection @ k / k.shape[-2]", also=(Edit(low, VALUES, "values = value_projection @ v / v.shape[-2]"),), aliases=("mean_of_positions",)),
    KnownMistake("keys_in_reverse", "The keys are projected in reverse order, from the last position to the first.", low, KEYS, "keys = key_projection.flip(-1) @ k"),
    KnownMistake("values_in_reverse", "The values are projected in reverse order, from the last position to the first.", low, VALUES, "values = value_projection.flip(-1) @ v"),
    KnownMistake("projection_activated", "An activation follows the projections. They must be linear.",
        low, KEYS, "keys = (key_projection @ k).relu()", also=(Edit(low, VALUES, "values = (value_projection @ v).relu()"),)),
    KnownMistake("projected_after_softmax", "The softmax runs over all positions, and the weights are projected afterwards. Project the keys before the softmax.",
        low, SOFTMAX, "weights = softmax(q @ k.transpose(-2, -1) * scale, dim=-1) @ key_projection.transpose(0, 1)"),
    KnownMistake("projected_keys_averaged_over_heads", "The projected keys are averaged over the heads. The heads share the projection, not the projected keys.",
        low, KEYS, "keys = (key_projection @ k).mean(-3, keepdim=True).expand(*k.shape[:-2], -1, -1)", aliases=("projections_of_batch_summed",)),
    # the scale and the softmax
    KnownMistake("unscaled", "The scores are not divided by sqrt(K).", low, SCALE, "scale = 1.0"),
    KnownMistake("scaled_by_the_rank", "The scores are divided by sqrt(R), the root of the number of projected keys. Divide by sqrt(K), the root of the head size.",
        low, SCALE, "scale = 1.0 / math.sqrt(keys.shape[-2])"),
    KnownMistake("scaled_by_time", "The scores are divided by sqrt(T), the root of the sequence length. Divide by sqrt(K), the root of the head size.", low, SCALE, "scale = 1.0 / math.sqrt(q.shape[-2])"),
    KnownMistake("scaled_by_head_size_without_root", "The scores are divided by K. Divide by its root, sqrt(K).", low, SCALE, "scale = 1.0 / q.shape[-1]", aliases=("scaled_by_the_head_size_itself",)),
    KnownMistake("softmax_over_queries", "The softmax runs over the queries. It must run over the projected keys.", low, SOFTMAX, "weights = softmax(scores, dim=-2)"),
    KnownMistake("softmax_over_heads", "The softmax runs over the heads. It must run over the projected keys.", low, SOFTMAX, "weights = softmax(scores, dim=-3)"),
    KnownMistake("sigmoid_for_softmax", "You use a sigmoid. The weights must sum to one: use a softmax over the projected keys.", low, SOFTMAX, "weights = scores.sigmoid()"),
    KnownMistake("softmax_forgotten", "There is no softmax: the raw scores are used as weights.", low, SOFTMAX, "weights = scores"),
    KnownMistake("causal_mask", "A causal T x T mask is cropped to T x R and hides projected keys as if they were positions. Every projected key mixes all positions.",
        low, SCORES, CAUSAL),
    # the output
    KnownMistake("keys_for_values", "The values are computed from the keys.", low, VALUES, "values = value_projection @ k[..., :1].expand(v.shape) + 0 * v.sum()"),
    KnownMistake("values_added", "The values themselves are added to the result (a residual inside).", low, RESULT, "return weights @ values + v", aliases=("values_added_back",)),
    KnownMistake("queries_added", "The mean of a query's features is added to its output.", low, RESULT, "return weights @ values + q.mean(-1, keepdim=True)"),
    KnownMistake("softmax_in_bfloat16", "The softmax is computed in bfloat16, which keeps about two significant digits.", low, SOFTMAX, "weights = softmax(scores.bfloat16(), dim=-1).to(q.dtype)"),
    KnownMistake("key_projection_detached", "key_projection is detached: it receives no gradient.", low, KEYS, "keys = key_projection.detach() @ k"),
    KnownMistake("value_projection_detached", "value_projection is detached: it receives no gradient.", low, VALUES, "values = value_projection.detach() @ v"),
    KnownMistake("keys_cached_across_calls", "The projected keys of the first call are cached and reused in every later call with the same shapes.",
        low, KEYS, "keys = low_rank_attention.__dict__.setdefault((k.shape, key_projection.shape, k.dtype), key_projection @ k)", aliases=("keys_kept",)),
)
