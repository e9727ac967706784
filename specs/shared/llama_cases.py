"""Cases of grouped-query attention, of a block of Llama, and of a whole Llama: sizes and weights."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from harness.strategies.tensors import seeds
from specs.shared.attention import Weights, learned

HEADS = ((4, 2), (6, 3), (2, 1), (4, 2), (4, 1), (6, 2), (2, 2), (6, 3), (1, 1), (3, 3))
"""Query heads and key-value heads."""
GAINS = ("q_norm_weight", "k_norm_weight")
BIASES = ("query_bias", "key_bias", "value_bias", "out_bias")
POST_NORMS = ("post_norm_1_weight", "post_norm_2_weight")
OPTIONS = (BIASES, GAINS, ("sinks",))
"""What attention may have beside its four projections; each of these is there as a whole or not at all."""
Options = tuple[str, ...]


@st.composite
def options(draw: st.DrawFn, *more: Options) -> Options:
    """Names of the optional tensors of a case: mostly all of them. Code that does not know one is not given it."""
    every = (*OPTIONS, *more)
    kind = draw(st.sampled_from(("none", "all", "all", "all", "some", "all")))
    chosen = every if kind == "all" else [o for o in every if kind == "some" and draw(st.booleans())]
    return tuple(name for option in chosen for name in option)


@st.composite
def grouped_weights(
    draw: st.DrawFn, sizes: dict[str, int], names: Options, sharpness: float = 1.5, of_each_head: bool = False
) -> Weights:
    """The weights of grouped-query attention; those of its optional ones that are not among ``names`` are None.

    ``sizes``: width, heads, kv_heads, head_size. In one of three cases a norm is of all heads together, unless it must
    be ``of_each_head``.
    """
    family, seed = draw(st.sampled_from(("normal", "small integers"))), draw(seeds)
    width, size = sizes["width"], sizes["head_size"]
    rows, shared = sizes["heads"] * size, sizes["kv_heads"] * size
    projection = math.sqrt(sharpness / width)
    together = not of_each_head and draw(st.integers(0, 2)) == 2
    shapes: dict[str, tuple[tuple[int, ...], float, float]] = {
        "query_weight": ((rows, width), projection, 0.0),
        "key_weight": ((shared, width), projection, 0.0),
        "value_weight": ((shared, width), projection, 0.0),
        "out_weight": ((width, rows), 1 / math.sqrt(rows), 0.0),
        "query_bias": ((rows,), 0.5, 0.0),
        "key_bias": ((shared,), 0.5, 0.0),
        "value_bias": ((shared,), 0.5, 0.0),
        "out_bias": ((width,), 0.5, 0.0),
        "q_norm_weight": ((rows if together else size,), 0.4, 1.2),
        "k_norm_weight": ((shared if together else size,), 0.4, 0.9),
        "sinks": ((sizes["heads"],), 1.0, 0.5),
    }
    optional = {name for option in OPTIONS for name in option}
    return {
        name: learned("normal" if around else family, shape, seed + i, scale, around)
        if name not in optional or name in names
        else None
        for i, (name, (shape, scale, around)) in enumerate(shapes.items())
    }


@st.composite
def llama_sizes(draw: st.DrawFn, plain: bool, most_time: int = 6, most_batch: int = 4) -> dict[str, int]:
    """Sizes of a block: heads of an even size, which can be rotated. ``plain``: their sizes add up to the width.

    The hidden size is four times the width, or two thirds of that, as many constructors make it, or a free one.
    """
    heads, groups = draw(st.sampled_from(((4, 2), (2, 2), (6, 3), (3, 3), (4, 1), (4, 4), (2, 2), (6, 2))))
    size = draw(st.sampled_from([k for k in (4, 2, 6) if k not in (heads, groups, heads // groups)]))
    free = [w for w in range(2, 12) if w not in (heads, groups, size, heads * size)]
    width = heads * size if plain or draw(st.integers(0, 2)) else draw(st.sampled_from(free))
    hidden = (4 * width, 4 * width, int(8 * width / 3), draw(st.integers(2, 13)))[draw(st.integers(0, 3))]
    sizes = {"width": width, "heads": heads, "kv_heads": groups, "head_size": size, "hidden": hidden}
    taken = {size, *sizes.values()}
    return sizes | draw(extents(taken, most_time, most_batch))


@st.composite
def extents(draw: st.DrawFn, taken: set[int], most_time: int, most_batch: int) -> dict[str, int]:
    """How many positions and rows: unlike each other and the sizes that are taken. One of either in few cases."""
    free = [n for n in range(2, most_time + 1) if n not in taken]
    time = draw(st.sampled_from((1, *free, *free)))
    batch = draw(st.sampled_from([n for n in range(1, most_batch + 1) if n == 1 or n not in {*taken, time}]))
    return {"time": time, "batch": batch}


@st.composite
def block_options(draw: st.DrawFn, plain: bool) -> Options:
    """As ``options``, with norms of what is added, the gate and the gains of norms.

    ``plain``: the gate and the gains are there.
    """
    names = draw(options(POST_NORMS))
    gate = ("gate_weight",) if plain or draw(st.integers(0, 4)) else ()
    gains = ("norm_1_weight", "norm_2_weight") if plain or draw(st.integers(0, 4)) else ()
    return (*names, *gate, *gains)


@st.composite
def block_weights(draw: st.DrawFn, sizes: dict[str, int], names: Options, of_each_head: bool = False) -> Weights:
    """All weights of one block; of the optional ones those in ``names``."""
    seed, width, hidden = draw(seeds), sizes["width"], sizes["hidden"]
    weights = draw(grouped_weights(sizes, names, of_each_head=of_each_head))
    family = draw(st.sampled_from(("normal", "small integers")))
    more: dict[str, Any] = {
        "norm_1_weight": learned("normal", (width,), seed, 0.4, around=1.3),
        "norm_2_weight": learned("normal", (width,), seed + 1, 0.4, around=0.8),
        "gate_weight": learned(family, (hidden, width), seed + 2, 1.5 / math.sqrt(width)),
        "up_weight": learned(family, (hidden, width), seed + 3, 1.5 / math.sqrt(width)),
        "down_weight": learned(family, (width, hidden), seed + 4, 1 / math.sqrt(hidden)),
        "post_norm_1_weight": learned("normal", (width,), seed + 5, 0.4, around=0.7),
        "post_norm_2_weight": learned("normal", (width,), seed + 6, 0.4, around=1.1),
    }
    required = ("up_weight", "down_weight")
    return weights | {name: value if name in (*names, *required) else None for name, value in more.items()}


@st.composite
def settings(draw: st.DrawFn, sizes: dict[str, int], plain: bool, eps: str = "eps") -> dict[str, Any]:
    """rope_base, window, eps and head_size where they are not at their defaults. ``plain``: all are.

    Mostly one of them alone, since code that lacks one is not judged on cases that have it. The head size is given
    where it is not the width over the heads.
    """
    found: dict[str, Any] = {}
    other = "" if plain else draw(st.sampled_from(("rope_base", "window", "eps", "", "rope_base", "all")))
    if other in ("rope_base", "all"):
        found["rope_base"] = draw(st.sampled_from((100.0, 500000.0)))
    if other in ("window", "all"):
        found["window"] = draw(st.integers(1, max(sizes["time"] - 1, 1)))
    if other in ("eps", "all"):
        found[eps] = 1e-2
    if sizes["head_size"] * sizes["heads"] != sizes["width"]:
        found["head_size"] = sizes["head_size"]
    return found


def described(names: Options) -> str:
    """What a case has and has not beside the plain form, for its family."""
    has = [
        word
        for word, name in (
            ("biases", BIASES[0]),
            ("qk norm", GAINS[0]),
            ("sinks", "sinks"),
            ("post norms", POST_NORMS[0]),
        )
        if name in names
    ]
    return f", with {', '.join(has)}" if has else ""
