"""Known mistakes in attention by products of features."""

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
    # what is seen
    KnownMistake("no_mask", "The sums run over the whole sequence: every position sees the future. They must be running sums.",
        linear, STATES, "states = products.sum(-3, keepdim=True).expand_as(products)", also=(Edit(linear, TOTALS, "totals = keys.sum(-2, keepdim=True).expand_as(keys)"),)),
    KnownMistake("denominator_of_the_whole", "The denominator sums the keys of the whole sequence; it must be a running sum, as the numerator is.",
        linear, TOTALS, "totals = keys.sum(-2, keepdim=True).expand_as(keys)"),
    KnownMistake("denominator_of_the_position", "The denominator holds the key of the position alone, not those before it.", linear, TOTALS, "totals = keys"),
    KnownMistake("one_future_position", "Each position sees the next one too.", linear, STATES,
        "states = torch.cat([torch.cumsum(products, dim=-3)[..., 1:, :, :], products.sum(-3, keepdim=True)], -3)",
        also=(Edit(linear, TOTALS, "totals = torch.cat([torch.cumsum(keys, dim=-2)[..., 1:, :], keys.sum(-2, keepdim=True)], -2)"),)),
    KnownMistake("only_earlier_positions", "The state is read before the position itself is added to it.",
        linear, STATES, "states = torch.cumsum(products, dim=-3) - products", also=(Edit(linear, TOTALS, "totals = torch.cumsum(keys, dim=-2) - keys + 1e-6"),)),
    KnownMistake("itself_not_in_the_state", "The matrix is read before the position itself is added, the denominator after.",
        linear, STATES, "states = torch.cumsum(products, dim=-3) - products"),
    KnownMistake("summed_from_the_end", "The running sums run from the end: the future is seen, the past is not.",
        linear, STATES, "states = products.flip(-3).cumsum(-3).flip(-3)", also=(Edit(linear, TOTALS, "totals = keys.flip(-2).cumsum(-2).flip(-2)"),)),
    KnownMistake("the_past_decays", "The state is multiplied by 0.9 at every step (as in RetNet); here nothing is forgotten.", linear, STATES, DECAY),
    KnownMistake("summed_over_heads", "The running sum runs over the heads, not over the positions: the wrong axis for this layout.",
        linear, STATES, "states = torch.cumsum(products, dim=-4)", also=(Edit(linear, TOTALS, "totals = torch.cumsum(keys, dim=-3)"),)),
    KnownMistake("summed_over_features", "The running sum of the keys runs over the features, not over the positions.", linear, TOTALS, "totals = torch.cumsum(keys, dim=-1)"),
    KnownMistake("state_kept", "The state of the last sequence of the same sizes is where the next one starts.",
        linear, STATES, """
        before = linear_attention.__dict__.get(products.shape, 0)
        states = torch.cumsum(products, dim=-3) + before
        linear_attention.__dict__[products.shape] = states[..., -1:, :, :].detach()
        """),
    # the denominator
    KnownMistake("divided_by_the_length", "The sums are divided by the length of the sequence; they are divided by the sum of the weights.",
        linear, RESULT, "return numerator / q.shape[-2]"),
    KnownMistake("divided_by_the_count", "The sums are divided by the number of positions seen; they are divided by the sum of the weights.",
        linear, RESULT, "return numerator / torch.arange(1, q.shape[-2] + 1, device=q.device).unsqueeze(-1)"),
    KnownMistake("denominator_without_features", "The denominator is made of the queries as they are; they go through the features there too.",
        linear, DENOMINATOR, "denominator = (q * totals).sum(-1, keepdim=True)"),
    KnownMistake("denominator_without_queries", "The denominator is the sum of the keys' features; it is their product with the query's.",
        linear, DENOMINATOR, "denominator = totals.sum(-1, keepdim=True)"),
    KnownMistake("large_epsilon", "1e-2 is added to the denominator: weights no longer sum to one.", linear, RESULT, "return numerator / (denominator + 1e-2)"),
    KnownMistake("not_divided", "The sums are not divided by the sum of the weights.", linear, RESULT, "return numerator", looks_like=("variant=unnormalised",)),
    KnownMistake("multiplied_by_the_denominator", "The sums are multiplied by the denominator.", linear, RESULT, "return numerator * denominator"),
    # features
    KnownMistake("elu_without_one", "elu(x) alone can be negative; the features are elu(x) + 1.", features, FEATURES, "return torch.where(x > 0, above, below) - 1"),
    KnownMistake("relu_features", "The features are relu(x); they are elu(x) + 1, which is never 0.", features, FEATURES, "return x.relu() + 1e-6"),
    KnownMistake("exp_features", "The features are exp(x); they are elu(x) + 1.", features, FEATURES, "return torch.exp(x)"),
    KnownMistake("softplus_features", "The features are softplus(x); they are elu(x) + 1.", features, FEATURES, "return torch.nn.functional.softplus(x)"),
    KnownMistake("softmax_features", "The features are a softmax over the features (efficient attention); they are elu(x) + 1.",
        features, FEATURES, "return torch.softmax(x, -1)"),
    KnownMistake("no_features_of_queries", "The queries are used as they are; they go through the features too.", linear, QUERIES, "queries = q"),
    KnownMistake("no_features_of_keys", "The keys are used as they are; they go through the features too.", linear, KEYS, "keys = k"),
    KnownMistake("queries_scaled", "The queries are divided by sqrt(K) before their features; linear attention has no scale.",
        linear, QUERIES, "queries = features(q * q.shape[-1] ** -0.5)"),
    KnownMistake("queries_for_keys", "The keys are not used; the queries stand in their place.", linear, KEYS, "keys = features(q)"),
    KnownMistake("state_transposed", "The matrix is values times keys where keys times values belong.", linear, NUMERATOR,
        "numerator = (queries.unsqueeze(-2) @ states.reshape(*states.shape[:-2], states.shape[-1], -1).transpose(-1, -2)).squeeze(-2)"),
    # precision and gradients
    KnownMistake("state_in_bfloat16", "The state is kept in bfloat16: two digits are left.", linear, STATES, "states = torch.cumsum(products, dim=-3).to(torch.bfloat16).to(v.dtype)"),
    KnownMistake("state_detached", "The state is detached at every step: earlier keys and values receive no gradient.",
        linear, STATES, "states = (torch.cumsum(products, dim=-3) - products).detach() + products"),
    KnownMistake("denominator_detached", "The denominator is detached: its share of the gradient is lost.", linear, RESULT, "return numerator / denominator.detach()"),
)
