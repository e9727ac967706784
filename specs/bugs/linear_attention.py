"""Known mistakes in linear attention."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.linear_attention import features, linear_attention

QUERIES, KEYS = "queries = features(q)", "keys = features(k)"
PRODUCTS = "products = keys.unsqueeze(-1) * v.unsqueeze(-2)"
STATES = "states = torch.cumsum(products, dim=-3)"
TOTALS = "totals = torch.cumsum(keys, dim=-2)"
NUMERATOR = "numerator = (queries.unsqueeze(-2) @ states).squeeze(-2)"
DENOMINATOR = "denominator = (queries * totals).sum(-1, keepdim=True)"
RESULT = "return numerator / denominator"
FEATURES = "return torch.where(x > 0, above, below)"

DECAY = """
gap = torch.arange(q.shape[-2], device=q.device)[:, None] - torch.arange(q.shape[-2], device=q.device)
decay = torch.where(gap >= 0, 0.9 ** gap.clamp(min=0).to(v.dtype), 0.0)
states = torch.einsum("ts,...skv->...tkv", decay, products)
"""
linear = linear_attention

MISTAKES = (
    # which positions are visible
    KnownMistake("no_mask", "The sums run over the whole sequence: every position sees later ones. Use cumulative sums.",
        linear, STATES, "states = products.sum(-3, keepdim=True).expand_as(products)", also=(Edit(linear, TOTALS, "totals = keys.sum(-2, keepdim=True).expand_as(keys)"),)),
    KnownMistake("denominator_over_whole_sequence", "The denominator sums the keys of the whole sequence. It must be a cumulative sum, as the numerator is.",
        linear, TOTALS, "totals = keys.sum(-2, keepdim=True).expand_as(keys)", aliases=("denominator_of_the_whole",)),
    KnownMistake("denominator_of_current_key_only", "The denominator holds only the key of the current position. It must also sum the keys before it.", linear, TOTALS, "totals = keys", aliases=("denominator_of_the_position",)),
    KnownMistake("one_future_position", "Each position sees the next one too: the cumulative sums are one position ahead.", linear, STATES,
        "states = torch.cat([torch.cumsum(products, dim=-3)[..., 1:, :, :], products.sum(-3, keepdim=True)], -3)",
        also=(Edit(linear, TOTALS, "totals = torch.cat([torch.cumsum(keys, dim=-2)[..., 1:, :], keys.sum(-2, keepdim=True)], -2)"),)),
    KnownMistake("only_earlier_positions", "The state is read before the current position is added to it. Each position must also attend to itself.",
        linear, STATES, "states = torch.cumsum(products, dim=-3) - products", also=(Edit(linear, TOTALS, "totals = torch.cumsum(keys, dim=-2) - keys + 1e-6"),)),
    KnownMistake("current_position_not_in_the_state", "The state is read before the current position is added, the denominator after it.",
        linear, STATES, "states = torch.cumsum(products, dim=-3) - products", aliases=("itself_not_in_the_state",)),
    KnownMistake("summed_from_the_end", "The cumulative sums run from the end: each position sees later positions, not earlier ones.",
        linear, STATES, "states = products.flip(-3).cumsum(-3).flip(-3)", also=(Edit(linear, TOTALS, "totals = keys.flip(-2).cumsum(-2).flip(-2)"),)),
    KnownMistake("state_decays", "The state is multiplied by 0.9 at every step (as in RetNet). Linear attention has no decay.", linear, STATES, DECAY, aliases=("the_past_decays",)),
    KnownMistake("summed_over_heads", "The cumulative sums run over the heads, the wrong axis for this layout. They must run over the positions.",
        linear, STATES, "states = torch.cumsum(products, dim=-4)", also=(Edit(linear, TOTALS, "totals = torch.cumsum(keys, dim=-3)"),)),
    KnownMistake("summed_over_features", "The cumulative sum of the keys runs over the features. It must run over the positions.", linear, TOTALS, "totals = torch.cumsum(keys, dim=-1)"),
    KnownMistake("state_carried_across_calls", "A call starts from the final state of the last call with the same shapes. It must start from zero.",
        linear, STATES, """
        before = linear_attention.__dict__.get(products.shape, 0)
        states = torch.cumsum(products, dim=-3) + before
        linear_attention.__dict__[products.shape] = states[..., -1:, :, :].detach()
        """, aliases=("state_kept",)),
    # the denominator
    KnownMistake("divided_by_the_length", "The sums are divided by the sequence length. Divide by the sum of the weights.",
        linear, RESULT, "return numerator / q.shape[-2]"),
    KnownMistake("divided_by_the_count", "The sums are divided by the number of positions seen. Divide by the sum of the weights.",
        linear, RESULT, "return numerator / torch.arange(1, q.shape[-2] + 1, device=q.device).unsqueeze(-1)"),
    KnownMistake("denominator_without_features", "The denominator uses the raw queries. Apply the feature map to them there too.",
        linear, DENOMINATOR, "denominator = (q * totals).sum(-1, keepdim=True)"),
    KnownMistake("denominator_without_queries", "The denominator is the sum of the key features. It must be their product with the query features.",
        linear, DENOMINATOR, "denominator = totals.sum(-1, keepdim=True)"),
    KnownMistake("large_epsilon", "0.01 is added to the denominator: the weights no longer sum to one.", linear, RESULT, "return numerator / (denominator + 1e-2)"),
    KnownMistake("not_normalised", "The sums are not divided by the sum of the weights.", linear, RESULT, "return numerator", looks_like=("variant=unnormalised",), aliases=("not_divided",)),
    KnownMistake("multiplied_by_the_denominator", "The sums are multiplied by the denominator. Divide by it.", linear, RESULT, "return numerator * denominator"),
    # features
    KnownMistake("elu_without_one", "The feature map is elu(x), which can be negative. It must be elu(x) + 1.", features, FEATURES, "return torch.where(x > 0, above, below) - 1"),
    KnownMistake("relu_features", "The feature map is relu(x). It must be elu(x) + 1, which is never 0.", features, FEATURES, "return x.relu() + 1e-6"),
    KnownMistake("exp_features", "The feature map is exp(x). It must be elu(x) + 1.", features, FEATURES, "return torch.exp(x)"),
    KnownMistake("softplus_features", "The feature map is softplus(x). It must be elu(x) + 1.", features, FEATURES, "return torch.nn.functional.softplus(x)"),
    KnownMistake("softmax_features", "The feature map is a softmax over the features (efficient attention). It must be elu(x) + 1.",
        features, FEATURES, "return torch.softmax(x, -1)"),
    KnownMistake("no_features_of_queries", "The queries are used as they are. Apply the feature map to them too.", linear, QUERIES, "queries = q"),
    KnownMistake("no_features_of_keys", "The keys are used as they are. Apply the feature map to them too.", linear, KEYS, "keys = k"),
    KnownMistake("queries_scaled", "The queries are divided by sqrt(K) before the feature map. Linear attention has no scale.",
        linear, QUERIES, "queries = features(q * q.shape[-1] ** -0.5)"),
    KnownMistake("queries_for_keys", "The queries are used in place of the keys. The keys are not used.", linear, KEYS, "keys = features(q)"),
    KnownMistake("state_transposed", "The state is read as values times keys. It is keys times values.", linear, NUMERATOR,
        "numerator = (queries.unsqueeze(-2) @ states.reshape(*states.shape[:-2], states.shape[-1], -1).transpose(-1, -2)).squeeze(-2)"),
    # precision and gradients
    KnownMistake("state_in_bfloat16", "The state is stored in bfloat16, which keeps about two significant digits.", linear, STATES, "states = torch.cumsum(products, dim=-3).to(torch.bfloat16).to(v.dtype)"),
    KnownMistake("state_detached", "The state is detached at every step: earlier keys and values receive no gradient.",
        linear, STATES, "states = (torch.cumsum(products, dim=-3) - products).detach() + products"),
    KnownMistake("denominator_detached", "The denominator is detached: the gradient through it is lost.", linear, RESULT, "return numerator / denominator.detach()"),
)
