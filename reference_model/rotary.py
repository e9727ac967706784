"""Rotary positions inside attention: the head is rotated, pair by pair, by angles that grow with the position."""

import math

import torch
from torch import Tensor


def rotate(heads: Tensor, layout: str, base: float) -> Tensor:
    """Heads at positions 0..T-1, rotated.  [B, H, T, K] -> [B, H, T, K]

    `layout`: "none" leaves them as they are; in "rotary" features 2i and 2i + 1 are a pair, in "rotary_halves"
    features i and i + K/2.  Raises ValueError where K is odd, or for another layout.
    Source: Su et al. 2021, section 3.2.2; meta-llama/llama llama/model.py `apply_rotary_emb` (pairs of neighbours);
    EleutherAI/gpt-neox (halves).
    """
    if layout == "none":
        return heads
    if layout not in ("rotary", "rotary_halves"):
        raise ValueError(f"no layout of rotary positions is called {layout!r}")
    share = 1.0  # of the features that are rotated, from the first; Phi, StableLM: less
    rotated = int(heads.shape[-1] * share)
    if rotated % 2:
        raise ValueError(f"{rotated} features cannot be rotated in pairs")
    turning, rest = heads[..., :rotated], heads[..., rotated:]
    cos, sin = rotary_tables(heads.shape[-2], rotated, base)
    cos, sin = (table.to(heads.device, heads.dtype) for table in (cos, sin))  # [T, K/2]
    if layout == "rotary":
        first, second = turning[..., 0::2], turning[..., 1::2]
    else:
        first, second = turning.chunk(2, dim=-1)
    turned_first = first * cos - second * sin
    turned_second = second * cos + first * sin
    if layout == "rotary":
        turned = torch.stack((turned_first, turned_second), dim=-1).flatten(-2)
    else:
        turned = torch.cat((turned_first, turned_second), dim=-1)
    return torch.cat((turned, rest), dim=-1)


def rotary_tables(time: int, size: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines of position / base^(2i / K), in float64.  Two of [T, K/2]

    Models that read more positions than they were trained on stretch them; the functions below say how.
    """
    scaling = "none"  # or "linear", "ntk", "yarn", "llama3"
    factor = 8.0  # how far positions are stretched; Llama 3.1
    trained = 8192  # positions that the model was trained on before
    exponents = torch.arange(0, size, 2, dtype=torch.float64) / size
    frequencies = base**-exponents
    amplitude = 1.0
    if scaling == "linear":
        frequencies = frequencies / factor  # Chen et al. 2023, section 2.3
    elif scaling == "ntk":
        frequencies = ntk_scaling(frequencies, size, factor)
    elif scaling == "llama3":
        frequencies = llama3_scaling(frequencies, factor, trained)
    elif scaling == "yarn":
        frequencies = yarn_scaling(frequencies, base, factor, trained)
        amplitude = 0.1 * math.log(factor) + 1.0  # Peng et al. 2023, equation 22: scores stay sharp
    places = torch.arange(time, dtype=torch.float64)
    angles = places[:, None] * frequencies
    return amplitude * angles.cos(), amplitude * angles.sin()


def ntk_scaling(frequencies: Tensor, size: int, factor: float) -> Tensor:
    """As if the base were factor^(K / (K - 2)) times larger: the slowest pair is slowed by the factor, the first not.

    Source: bloc97 2023 ("NTK-aware scaled RoPE"); Peng et al. 2023, section 3.1.
    """
    exponents = torch.arange(0, size, 2, dtype=torch.float64) / max(size - 2, 1)
    return frequencies * factor**-exponents


def llama3_scaling(frequencies: Tensor, factor: float, trained: int) -> Tensor:
    """Pairs that turn less than once over the trained positions are slowed by the factor, above 4 times not at all.

    Source: meta-llama/llama-models models/llama3/model.py `apply_scaling`.
    """
    turns = trained * frequencies / (2 * math.pi)
    kept = ((turns - 1.0) / (4.0 - 1.0)).clamp(0.0, 1.0)
    return (1.0 - kept) * frequencies / factor + kept * frequencies


def yarn_scaling(frequencies: Tensor, base: float, factor: float, trained: int) -> Tensor:
    """Pairs that turn less than once over the trained positions are slowed by the factor, above 32 times not at all.

    Between them the share grows with the index of the pair.  Source: Peng et al. 2023, section 3.2; jquesnelle/yarn
    `YaRNScaledRotaryEmbedding`.
    """
    pairs = len(frequencies)
    fast, slow = (pairs * math.log(trained / (turns * 2 * math.pi)) / math.log(base) for turns in (32.0, 1.0))
    low, high = max(math.floor(fast), 0), min(math.ceil(slow), 2 * pairs - 1)
    slowed = (torch.arange(pairs, dtype=torch.float64) - low) / max(high - low, 0.001)
    slowed = slowed.clamp(0.0, 1.0)
    return slowed * frequencies / factor + (1.0 - slowed) * frequencies
