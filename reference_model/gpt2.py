"""The whole model, and weights to start it from."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from reference_model.block import block
from reference_model.config import Config
from reference_model.layer_norm import layer_norm
from reference_model.learned_positions import learned_positions
from reference_model.linear import linear
from reference_model.token_embedding import token_embedding


def gpt2(
    ids: Tensor,
    weights: Mapping[str, Any],
    config: Any,
    attention_mask: Tensor | None = None,
    position_ids: Tensor | None = None,
) -> Tensor:
    """Ids to the logits of the next id.  ids int [B, T] -> logits [B, T, V]

    h_0 = W_e[ids] + W_p[0..T-1];  h_l = block(h_(l-1));  logits = norm(h_L) W_e^T, the head tied to the embedding.
    weights: token_embedding [V, D], position_embedding [C, D], blocks (a list of what `block` takes),
    final_norm_weight [D], final_norm_bias [D] (may be None or missing).
    config: anything with vocab_size, context, width, heads, layers and, optionally, norm_eps (1e-5 otherwise).
    attention_mask [B, T]: True where an id is real, False where it is padding. position_ids int [B, T]: the position of
    each id, 0..T-1 without them; with padding before the text they begin at 0 with the first real id.
    Raises ValueError when T exceeds the context or the blocks are not config.layers many, IndexError for an id
    outside the vocabulary.
    Source: Radford et al. 2018, section 3.1, equation 2; Radford et al. 2019, section 2.3 (the final norm);
    openai/gpt-2 src/model.py `model`.
    """
    time = ids.shape[-1]
    if time > config.context:
        raise ValueError(f"{time} ids are more than the context of {config.context}")
    if len(weights["blocks"]) != config.layers:
        raise ValueError(f"weights hold {len(weights['blocks'])} blocks, but the config has {config.layers} layers")
    eps = getattr(config, "norm_eps", 1e-5)

    positions = torch.arange(time, device=ids.device)  # [T]
    tokens = token_embedding(ids, weights["token_embedding"])  # [B, T, D]
    if position_ids is not None:
        positions = position_ids
    places = learned_positions(positions, weights["position_embedding"])  # [T, D], or [B, T, D]
    stream = tokens + places
    for layer_weights in weights["blocks"]:
        stream = block(stream, layer_weights, config.heads, eps, attention_mask)
    normed = layer_norm(stream, weights["final_norm_weight"], weights.get("final_norm_bias"), eps)
    return linear(normed, weights["token_embedding"], None)  # [B, T, V]


def initialise(
    config: Config, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float32
) -> dict[str, Any]:
    """Fresh weights as `gpt2` takes them, on the generator's device (the default device without one).

    Matrices N(0, 0.02^2); positions N(0, 0.01^2); the two projections that write to the residual stream
    N(0, (0.02 / sqrt(2 L))^2), for there are 2 L of them; biases 0, gains 1.
    Every number is drawn in float32 and then rounded to `dtype`: one seed is one model, whatever the dtype.
    Source: Radford et al. 2019, section 2.3 (residual layers "by a factor of 1/sqrt(N)");
    openai/gpt-2 src/model.py (`wte` 0.02, `wpe` 0.01, `conv1d` 0.02).
    """
    table = normal((config.vocab_size, config.width), 0.02, generator, dtype)
    places = normal((config.context, config.width), 0.01, generator, dtype)
    blocks = [initialise_block(config, generator, dtype) for _ in range(config.layers)]
    return {
        "token_embedding": table,
        "position_embedding": places,
        "blocks": blocks,
        "final_norm_weight": torch.ones(config.width, dtype=dtype, device=table.device),
        "final_norm_bias": torch.zeros(config.width, dtype=dtype, device=table.device),
    }


def initialise_block(config: Config, generator: torch.Generator | None, dtype: torch.dtype) -> dict[str, Tensor]:
    """Fresh weights of one block, as `block` takes them; see `initialise`."""
    width = config.width
    hidden = 4 * width
    residual_std = 0.02 / math.sqrt(2 * config.layers)
    qkv_weight = normal((3 * width, width), 0.02, generator, dtype)
    out_weight = normal((width, width), residual_std, generator, dtype)
    up_weight = normal((hidden, width), 0.02, generator, dtype)
    down_weight = normal((width, hidden), residual_std, generator, dtype)
    device = qkv_weight.device
    return {
        "norm_1_weight": torch.ones(width, dtype=dtype, device=device),
        "norm_1_bias": torch.zeros(width, dtype=dtype, device=device),
        "qkv_weight": qkv_weight,
        "qkv_bias": torch.zeros(3 * width, dtype=dtype, device=device),
        "out_weight": out_weight,
        "out_bias": torch.zeros(width, dtype=dtype, device=device),
        "norm_2_weight": torch.ones(width, dtype=dtype, device=device),
        "norm_2_bias": torch.zeros(width, dtype=dtype, device=device),
        "up_weight": up_weight,
        "up_bias": torch.zeros(hidden, dtype=dtype, device=device),
        "down_weight": down_weight,
        "down_bias": torch.zeros(width, dtype=dtype, device=device),
    }


def normal(shape: tuple[int, ...], std: float, generator: torch.Generator | None, dtype: torch.dtype) -> Tensor:
    """Numbers from N(0, std^2) of this shape, drawn in float32 and rounded to `dtype`."""
    device = None if generator is None else generator.device
    draws = torch.randn(shape, generator=generator, dtype=torch.float32, device=device)
    scaled = draws * std
    return scaled.to(dtype)
