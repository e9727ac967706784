"""The sizes of a GPT-2 as the sizes of another model, for components that are run on the modules of either."""

from __future__ import annotations

from typing import Any

from harness.core.values import Settings

LLAMA = "llama"


def is_llama(build: Any) -> bool:
    """Whether what builds models builds Llamas; ``build`` is a ModelBuilder."""
    return bool(build.adapter.contract.name == LLAMA)


def sizes_for(build: Any, config: Settings) -> Settings:
    """These sizes, as the model that is built takes them: a Llama has as many key-value heads as heads then."""
    return llama_settings(config) if is_llama(build) else config


def llama_settings(config: Settings) -> Settings:
    """The sizes of a Llama with as many key-value heads as heads, from those of a GPT-2."""
    return Settings(**config.as_dict(), kv_heads=None, head_size=None, hidden=4 * config.width)
