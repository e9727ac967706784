"""The sizes of a GPT-2 and of a Llama, and how many parameters they cost.

Radford et al. 2019, Table 2 (the four sizes); openai/gpt-2 src/model.py `default_hparams`.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """The sizes of one model.

    vocab_size V, context C (longest sequence), width D, heads H, layers L, and the epsilon of the layer norms.
    Raises TypeError when a size is not an int, ValueError when one is not positive, when heads do not divide
    width, or when norm_eps is not a positive finite number.
    Source: Radford et al. 2019, Table 2; openai/gpt-2 src/model.py (`default_hparams`, `norm`).
    """

    vocab_size: int = 50257
    context: int = 1024
    width: int = 768
    heads: int = 12
    layers: int = 12
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        for name in ("vocab_size", "context", "width", "heads", "layers"):
            size = getattr(self, name)
            if not isinstance(size, int) or isinstance(size, bool):
                raise TypeError(f"{name} must be an int, not {size!r}")
            if size < 1:
                raise ValueError(f"{name} must be at least 1, not {size}")
        if self.width % self.heads != 0:
            raise ValueError(f"width {self.width} is not divisible by heads {self.heads}")
        if not (math.isfinite(self.norm_eps) and self.norm_eps > 0):
            raise ValueError(f"norm_eps must be positive and finite, not {self.norm_eps!r}")


GPT2_SMALL = Config(width=768, heads=12, layers=12)
GPT2_MEDIUM = Config(width=1024, heads=16, layers=24)
GPT2_LARGE = Config(width=1280, heads=20, layers=36)
GPT2_XL = Config(width=1600, heads=25, layers=48)


def parameter_count(config: Config) -> int:
    """How many parameters a GPT-2 of these sizes has; the tied head counts once.

    V D + C D + L (12 D^2 + 13 D) + 2 D.  124,439,808 for the small model.
    Radford et al. 2019, Table 2, says 117M; openai/gpt-2 README.md corrects it to 124M.
    """
    width = config.width
    token_table = config.vocab_size * width
    position_table = config.context * width
    norms = 2 * (2 * width)  # two layer norms, each with a gain and a bias
    qkv = 3 * width * width + 3 * width
    out = width * width + width
    up = 4 * width * width + 4 * width
    down = 4 * width * width + width
    one_block = norms + qkv + out + up + down  # 12 D^2 + 13 D
    final_norm = 2 * width
    return token_table + position_table + config.layers * one_block + final_norm


@dataclass(frozen=True)
class LlamaConfig:
    """The sizes of one Llama: those of 7B unless told otherwise.

    vocab_size V, context C (the positions it was trained on), width D, heads H, kv_heads G, head_size K, hidden F,
    layers L, the epsilon of the norms, the base of the rotation, and how many positions a layer sees (None: all).
    Raises ValueError when a size is below 1, or kv_heads do not divide heads.
    Source: Touvron et al. 2023, Table 2; meta-llama/llama llama/model.py `ModelArgs`.
    """

    vocab_size: int = 32000
    context: int = 2048
    width: int = 4096
    heads: int = 32
    kv_heads: int = 32
    head_size: int = 128
    hidden: int = 11008
    layers: int = 32
    norm_eps: float = 1e-5
    rope_base: float = 10000.0
    window: int | None = None

    def __post_init__(self) -> None:
        for name in ("vocab_size", "context", "width", "heads", "kv_heads", "head_size", "hidden", "layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.heads % self.kv_heads != 0:
            raise ValueError(f"heads {self.heads} are not divisible by kv_heads {self.kv_heads}")


def llama_parameter_count(config: LlamaConfig, tied: bool = False) -> int:
    """How many parameters a Llama of these sizes has: 2 V D + L (2 H K D + 2 G K D + 3 D F + 2 D) + D; tied, V D fewer.

    6,738,415,616 for 7B, as meta-llama/llama has them.
    """
    width, size = config.width, config.head_size
    attention = 2 * config.heads * size * width + 2 * config.kv_heads * size * width
    feed_forward = 3 * width * config.hidden
    one_block = attention + feed_forward + 2 * width
    table = config.vocab_size * width
    return (1 if tied else 2) * table + config.layers * one_block + width
