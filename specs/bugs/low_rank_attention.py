"""Known mistakes in attention through projections along time."""

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
    KnownMistake("projections_exchanged", "The two projections have changed places.", low, KEYS, "keys = value_projection @ k", also=(Edit(low, VALUES, "values = key_projection @ v"),)),
    KnownMistake("key_projection_for_values", "The values are projected by the keys' matrix; they have one of their own.", low, VALUES, "values = key_projection @ v + 0 * value_projection.sum()"),
    KnownMistake("value_projection_for_keys", "The keys are projected by the values' matrix; they have one of their own.", low, KEYS, "keys = value_projection @ k + 0 * key_projection.sum()"),
    KnownMistake("projection_viewed", "A projection that lies [T, R] is viewed as [R, T] without being transposed: the numbers end up in other places.",
        low, KEYS, "keys = key_projection.transpose(0, 1).reshape(key_projection.shape) @ k",
        also=(Edit(low, VALUES, "values = value_projection.transpose(0, 1).reshape(value_projection.shape) @ v"),)),
    KnownMistake("projections_transposed", "Your projections are [T, R]; they are [R, T], as in torch.nn.Linear(T, R).",
        low, KEYS, "keys = key_projection.transpose(0, 1) @ k", also=(Edit(low, VALUES, "values = value_projection.transpose(0, 1) @ v"),)),
    KnownMistake("projections_normalised", "A softmax is taken over the rows of the projections; they are used as they are.",
        low, KEYS, "keys = softmax(key_projection, dim=-1) @ k", also=(Edit(low, VALUES, "values = softmax(value_projection, dim=-1) @ v"),)),
    KnownMistake("mean_of_positions", "The projected keys and values are divided by the number of positions.",
        low, KEYS, "keys = key_projection @ k / k.shape[-2]", also=(Edit(low, VALUES, "values = value_projection @ v / v.shape[-2]"),)),
    KnownMistake("keys_in_reverse", "The keys are projected from the last position to the first.", low, KEYS, "keys = key_projection.flip(-1) @ k"),
    KnownMistake("values_in_reverse", "The values are projected from the last position to the first.", low, VALUES, "values = value_projection.flip(-1) @ v"),
    KnownMistake("projection_activated", "An activation stands behind the projections; they are linear.",
        low, KEYS, "keys = (key_projection @ k).relu()", also=(Edit(low, VALUES, "values = (value_projection @ v).relu()"),)),
    KnownMistake("projected_after_softmax", "The scores of all positions go through the softmax first and are projected then: the softmax belongs behind the projection.",
        low, SOFTMAX, "weights = softmax(q @ k.transpose(-2, -1) * scale, dim=-1) @ key_projection.transpose(0, 1)"),
    KnownMistake("projections_of_batch_summed", "The projected keys are summed over the heads: heads share the projection, not what comes out.",
        low, KEYS, "keys = (key_projection @ k).mean(-3, keepdim=True).expand(*k.shape[:-2], -1, -1)"),
    # the scale and the softmax
    KnownMistake("unscaled", "The scores are not divided by sqrt(K).", low, SCALE, "scale = 1.0"),
    KnownMistake("scaled_by_the_rank", "The scores are divided by the root of R, the number of mixtures; it is the root of the head size K.",
        low, SCALE, "scale = 1.0 / math.sqrt(keys.shape[-2])"),
    KnownMistake("scaled_by_time", "The scores are divided by the root of T; it is the root of the head size K.", low, SCALE, "scale = 1.0 / math.sqrt(q.shape[-2])"),
    KnownMistake("scaled_by_the_head_size_itself", "The scores are divided by K, not by its root.", low, SCALE, "scale = 1.0 / q.shape[-1]"),
    KnownMistake("softmax_over_queries", "The softmax runs over the queries; it must run over the mixtures.", low, SOFTMAX, "weights = softmax(scores, dim=-2)"),
    KnownMistake("softmax_over_heads", "The softmax runs over the heads; it must run over the mixtures.", low, SOFTMAX, "weights = softmax(scores, dim=-3)"),
    KnownMistake("sigmoid_for_softmax", "You use a sigmoid; the weights must sum to one.", low, SOFTMAX, "weights = scores.sigmoid()"),
    KnownMistake("softmax_forgotten", "There is no softmax: the scores themselves are the weights.", low, SOFTMAX, "weights = scores"),
    KnownMistake("causal_mask", "A causal mask of T x T is cut to T x R and hides mixtures as if they were positions; every mixture holds all positions.",
        low, SCORES, CAUSAL),
    # what comes out
    KnownMistake("keys_for_values", "The values are made of the keys.", low, VALUES, "values = value_projection @ k[..., :1].expand(v.shape) + 0 * v.sum()"),
    KnownMistake("values_added_back", "The values themselves are added to the result (a residual inside).", low, RESULT, "return weights @ values + v"),
    KnownMistake("queries_added", "The queries of a position are added into its weights' mean.", low, RESULT, "return weights @ values + q.mean(-1, keepdim=True)"),
    KnownMistake("softmax_in_bfloat16", "The softmax is taken in bfloat16: two digits are left.", low, SOFTMAX, "weights = softmax(scores.bfloat16(), dim=-1).to(q.dtype)"),
    KnownMistake("key_projection_detached", "key_projection is detached: it receives no gradient.", low, KEYS, "keys = key_projection.detach() @ k"),
    KnownMistake("value_projection_detached", "value_projection is detached: it receives no gradient.", low, VALUES, "values = value_projection.detach() @ v"),
    KnownMistake("keys_kept", "The projected keys of the first call are kept for every later one of the same sizes.",
        low, KEYS, "keys = low_rank_attention.__dict__.setdefault((k.shape, key_projection.shape, k.dtype), key_projection @ k)"),
)
