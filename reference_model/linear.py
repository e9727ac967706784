"""The affine map."""

from torch import Tensor


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x weight^T + bias over the last axis.  x [..., in], weight [out, in], bias [out] or None -> [..., out]

    The weight lies as in torch.nn.Linear; GPT-2's own `conv1d` (openai/gpt-2 src/model.py) keeps it as [in, out].
    Raises RuntimeError (from torch) when the widths do not meet.
    """
    turned = weight.transpose(0, 1)  # [in, out]
    product = x @ turned
    return product if bias is None else product + bias
