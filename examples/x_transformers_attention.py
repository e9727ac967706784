"""Attention as x-transformers has it.  pytest --impl=examples/x_transformers_attention.py"""

from x_transformers.x_transformers import AlibiPositionalBias, Attention

from plumbline import implements

PLUMBLINE = {"variants": {"grouped_query_attention": "tiled"}}  # head h uses group h % G


def sizes(config):
    """A single head has no projection of what comes out, where none is asked for."""
    return {"dim": config.width, "heads": config.heads, "dim_head": config.width // config.heads, "project_out": True}


implements("attention")(lambda config: Attention(**sizes(config), causal=True))
implements("grouped_query_attention")(lambda config: Attention(**sizes(config), kv_heads=config.kv_heads, causal=True))


def alibi(n_heads, time):
    return AlibiPositionalBias(n_heads)(time, time)
