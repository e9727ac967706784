"""Legal forms of grouped-query attention, alone and in Llama's relatives.

Each axis edits a line of its own in the reference, so that forms on different axes combine. What the parameters show
(biases, gains of norms, sinks) is no form: it is there, or it is not.
"""

from __future__ import annotations

from harness.core.contract import NumberForm, Variant
from harness.core.mistake import Edit
from reference_model.grouped_query_attention import grouped_query_attention
from reference_model.rotary import rotary_tables, rotate
from specs.shared.attention_forms import NO_EPS, attention_scale, qk_norm_eps, rope_base, softcap, window
from specs.shared.padding import NAN_AT_PADDING

gqa = grouped_query_attention

# attention -----------------------------------------------------------------------------------------------------------

NORM_Q, NORM_K = (f"{n} = norm_of_heads({n}, {n}_norm_weight, eps)" for n in "qk")
TURN_Q, TURN_K = (f"turned_{n} = rotate({n}, layout, base)" for n in "qk")
KEYS = "keys = turned_k.repeat_interleave(shared_by, dim=1)"
VALUES = "values = v.repeat_interleave(shared_by, dim=1)"


def _layout(name: str, sentence: str, is_default: bool = False) -> Variant:
    edits = () if is_default else (Edit(gqa, "layout = positions", f'layout = "{name}"'),)
    return Variant(name, sentence, edits, tables_in_float32=name != "none", axis="positions", is_default=is_default)


HALVES_SENTENCE = (
    "Queries and keys are rotated by their position (RoPE), feature i with feature i + K/2, as in GPT-NeoX and in "
    "Llama of transformers."
)
NEIGHBOURS_SENTENCE = (
    "Queries and keys are rotated by their position (RoPE), feature 2i with feature 2i + 1, as in the paper and in "
    "Llama's own code."
)
NO_POSITIONS = "No position is told to attention: queries and keys are not rotated."


def positions(default: str) -> tuple[Variant, ...]:
    """The layouts of rotary positions. ``default``: which one the contract has as it stands."""
    sentences = {"rotary_halves": HALVES_SENTENCE, "rotary": NEIGHBOURS_SENTENCE, "none": NO_POSITIONS}
    return tuple(_layout(n, s, is_default=n == default) for n, s in sentences.items())


def _scaling(name: str, sentence: str) -> Variant:
    edits = (Edit(rotary_tables, 'scaling = "none"', f'scaling = "{name}"'),)
    return Variant(name, sentence, edits, tables_in_float32=True, axis="rope_scaling")


SCALING = (
    _scaling("linear", "Positions are divided by a factor before they are rotated (linear scaling of RoPE)."),
    _scaling("ntk", "The base of RoPE is enlarged, so that slow pairs are slowed and fast ones are not (NTK-aware)."),
    _scaling("yarn", "Slow pairs of RoPE are slowed, fast ones are not, and the tables are enlarged a little (YaRN)."),
    _scaling("llama3", "Slow pairs of RoPE are slowed by a factor and fast ones are not, as in Llama 3.1."),
)
STRETCHED = NumberForm(
    "rope_factor",
    "Positions are stretched by a factor of {}.",
    lambda n: (Edit(rotary_tables, "factor = 8.0", f"factor = {n!r}"),),
    candidates=(2.0, 4.0, 16.0, 32.0, 40.0),
    default=8.0,
)
TRAINED = NumberForm(
    "rope_trained",
    "The model was trained on {} positions before they were stretched.",
    lambda n: (Edit(rotary_tables, "trained = 8192", f"trained = {n!r}"),),
    candidates=(2048, 4096, 32768),
    default=8192,
    whole=True,
)
SHARE = NumberForm(
    "rotary_share",
    "A share of {} of each head's features is rotated, from the first; the rest is left alone.",
    lambda n: (Edit(rotate, "share = 1.0", f"share = {n!r}"),),
    candidates=(0.5, 0.25, 0.75),
    default=1.0,
)


def _norm_last(heads: str, weight: str) -> Edit:
    """Queries or keys normalised once they are rotated; [batch, head, position, feature] there."""
    turned = f"rotate({heads}, layout, base).transpose(1, 2)"
    wrong = f"turned_{heads} = norm_of_heads({turned}, {weight}).transpose(1, 2)"
    return Edit(gqa, TURN_Q if heads == "q" else TURN_K, wrong)


QK_NORM = (
    Variant(
        "after_rope",
        "Queries and keys are normalised after they are rotated; in Qwen3 before.",
        (
            Edit(gqa, NORM_Q, "q = q"),
            Edit(gqa, NORM_K, "k = k"),
            _norm_last("q", "q_norm_weight, eps"),
            _norm_last("k", "k_norm_weight, eps"),
        ),
        axis="qk_norm",
    ),
    Variant(
        "rms",
        "Queries and keys of each head are divided by their root mean square (QK-norm without a gain), then rotated.",
        (
            Edit(gqa, NORM_Q, NO_EPS + "q = norm_of_heads(q, x.new_ones(head_size), norm_eps)"),
            Edit(gqa, NORM_K, "k = norm_of_heads(k, x.new_ones(head_size), norm_eps)"),
        ),
        axis="qk_norm",
    ),
    Variant(
        "rms_after_rope",
        "Queries and keys are rotated, then divided by their root mean square, without a gain, as in nanochat.",
        (
            Edit(gqa, NORM_Q, NO_EPS + "q = q"),
            _norm_last("q", "x.new_ones(head_size), norm_eps"),
            _norm_last("k", "x.new_ones(head_size), norm_eps"),
        ),
        axis="qk_norm",
        aliases=("unweighted_after_rope",),
    ),
)
TILED = Variant(
    "tiled",
    "Head h uses group h % G, as in x-transformers: the heads of a group are not next to each other. Only the "
    "order of the heads differs, so a checkpoint of Llama gives other numbers.",
    (
        Edit(gqa, KEYS, "keys = turned_k.repeat(1, shared_by, 1, 1)"),
        Edit(gqa, VALUES, "values = v.repeat(1, shared_by, 1, 1)"),
    ),
    axis="head_order",
)
EPS_AS_NORMS = Variant(
    "as_norms",
    "The norm of queries and keys without a gain has the epsilon of the other norms, as NanoChat of transformers.",
    (Edit(gqa, NO_EPS.strip(), "norm_eps = eps"),),
    axis="qk_norm_eps",
)
SCALE = "scale = 1.0 / math.sqrt(head_size)"
SCALE_BY_HEAD_SIZE = Variant(
    "by_head_size",
    "Scores are divided by the head size K (muP); elsewhere by its root.",
    (Edit(gqa, SCALE, "scale = 1.0 / head_size"),),
    axis="attention_scale",
)


BACKWARDS = Variant(
    "backwards",
    "Queries and keys are rotated the other way round, by minus their position, as in nanochat.",
    (
        Edit(rotate, "turned_first = first * cos - second * sin", "turned_first = first * cos + second * sin"),
        Edit(rotate, "turned_second = second * cos + first * sin", "turned_second = second * cos - first * sin"),
    ),
    axis="rotation",
)


def attention_variants(default_positions: str) -> tuple[Variant, ...]:
    """Named forms of grouped-query attention, of a block, and of a model with it."""
    others = (EPS_AS_NORMS, BACKWARDS, TILED, SCALE_BY_HEAD_SIZE, NAN_AT_PADDING)
    return (*positions(default_positions), *SCALING, *QK_NORM, *others)


OWN_BASE = "v = v.transpose(1, 2)"


def own_base(number: float) -> Edit:
    """Attention rotates with a base of its own. A whole model hands it a base below 0 that goes before that."""
    return Edit(gqa, OWN_BASE, f"{OWN_BASE}\nbase = {number!r} if rope_base > 0 else abs(base)")


LOCAL_BASE = NumberForm(
    "local_base",
    "Attention that sees a window alone rotates with the base {}, whatever base is set for the others, as in Gemma 3.",
    lambda n: (own_base(n),),
    candidates=(10000.0,),
    hints=("local",),
)
ATTENTION_NUMBERS = (
    rope_base(lambda n: (Edit(gqa, "base = rope_base", f"base = {n!r}"),)),
    STRETCHED,
    TRAINED,
    SHARE,
    softcap(lambda n: (Edit(gqa, "softcap = None", f"softcap = {n!r}"),)),
    attention_scale(lambda n: (Edit(gqa, SCALE, f"scale = {n!r}"),)),
    window(lambda n: (Edit(gqa, "span = window", f"span = {n!r}"),)),
    qk_norm_eps(gqa),
    LOCAL_BASE,
)
