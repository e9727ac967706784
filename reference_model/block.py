"""One layer of the transformer."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from reference_model.attention import attention
from reference_model.layer_norm import layer_norm
from reference_model.mlp import mlp


def block(
    x: Tensor, weights: Mapping[str, Any], n_heads: int, eps: float = 1e-5, attention_mask: Tensor | None = None
) -> Tensor:
    """x + attention(norm_1(x)), then + mlp(norm_2(.)): pre-norm.  x [B, T, D] -> [B, T, D]

    weights: norm_1_weight [D], norm_1_bias [D], qkv_weight [3D, D], qkv_bias [3D], out_weight [D, D], out_bias [D],
    norm_2_weight [D], norm_2_bias [D], up_weight [F, D], up_bias [F], down_weight [D, F], down_bias [D].
    attention_mask [B, T]: True where a position is real, as `attention` takes it.
    A bias may be None or missing.  What is added to is the stream as it came, not its normalised copy.
    Raises KeyError when a weight that is not a bias is missing, ValueError when n_heads does not divide D.
    Source: Radford et al. 2019, section 2.3 ("layer normalization was moved to the input of each sub-block");
    openai/gpt-2 src/model.py `block`.
    """
    norm_1_weight, norm_1_bias = weights["norm_1_weight"], weights.get("norm_1_bias")
    qkv_weight, qkv_bias = weights["qkv_weight"], weights.get("qkv_bias")
    out_weight, out_bias = weights["out_weight"], weights.get("out_bias")
    norm_2_weight, norm_2_bias = weights["norm_2_weight"], weights.get("norm_2_bias")
    up_weight, up_bias = weights["up_weight"], weights.get("up_bias")
    down_weight, down_bias = weights["down_weight"], weights.get("down_bias")

    normed_1 = layer_norm(x, norm_1_weight, norm_1_bias, eps)
    attended = attention(normed_1, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, attention_mask)
    middle = x + attended
    normed_2 = layer_norm(middle, norm_2_weight, norm_2_bias, eps)
    thought = mlp(normed_2, up_weight, up_bias, down_weight, down_bias)
    return middle + thought
