"""Right implementations of gelu, layer_norm and mlp that differ in how they get there; none of them may fail a
claim."""

import math

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

ROOT = math.sqrt(2.0 / math.pi)
CUBIC = 0.044715


# gelu ----------------------------------------------------------------------------------------------------------------


def gelu_of_torch(x):
    return functional.gelu(x, approximate="tanh")


def gelu_module(x):
    return nn.GELU("tanh")(x)


def gelu_by_sigmoid(x):
    """0.5 (1 + tanh(u)) is sigmoid(2 u)."""
    return x * torch.sigmoid(2.0 * ROOT * (x + CUBIC * x**3))


def gelu_by_pow(x):
    return 0.5 * x * (1.0 + torch.tanh(ROOT * (x + CUBIC * torch.pow(x, 3.0))))


def gelu_with_constants_in_float32(x):
    """As a widely read book writes it: the root is a float32 tensor, which stays one beside float64. Once a false
    alarm."""
    return 0.5 * x * (1.0 + torch.tanh(torch.sqrt(torch.tensor(2.0 / torch.pi)) * (x + 0.044715 * torch.pow(x, 3))))


def gelu_with_both_constants_in_float32(x):
    root, cubic = torch.tensor([2.0 / math.pi]).sqrt(), torch.tensor([CUBIC])
    return 0.5 * x * (1.0 + torch.tanh(root * (x + cubic * x * x * x)))


def mlp_with_constants_in_float32(x, up_weight, up_bias, down_weight, down_bias):
    hidden = gelu_with_constants_in_float32(functional.linear(x, up_weight, up_bias))
    return functional.linear(hidden, down_weight, down_bias)


def gelu_factored(x):
    """x + a x^3 as x (1 + a x^2), constants multiplied first."""
    square = x * x
    return 0.5 * x * (torch.tanh(x * (ROOT + ROOT * CUBIC * square)) + 1.0)


def gelu_in_two_halves(x):
    half = 0.5 * x
    return half + half * torch.tanh(ROOT * torch.addcmul(x, x * x, x, value=CUBIC))


def gelu_in_place_on_its_own(x):
    """Writes in place, but only on tensors it made itself."""
    inner = x * x
    inner = inner.mul_(x).mul_(CUBIC).add_(x).mul_(ROOT) if not x.requires_grad else ROOT * (x + CUBIC * x**3)
    gate = torch.tanh(inner).add_(1.0).mul_(0.5) if not x.requires_grad else 0.5 * (1 + torch.tanh(inner))
    return gate.mul_(x) if not x.requires_grad else x * gate


def gelu_by_exp(x):
    """The logistic function from exp(-|2 u|), which cannot overflow."""
    double = 2.0 * ROOT * (x + CUBIC * x**3)
    small = torch.exp(-double.abs())
    return x * torch.where(double >= 0, torch.ones_like(small), small) / (1.0 + small)


def gelu_by_logsigmoid(x):
    return x * torch.exp(functional.logsigmoid(2.0 * ROOT * (x + CUBIC * x**3)))


def gelu_upcast(x):
    """Always in float32 inside, whatever comes in."""
    wide = x.float()
    return (0.5 * wide * (1.0 + torch.tanh(ROOT * (wide + CUBIC * wide**3)))).type_as(x)


def gelu_upcast_to_double(x):
    wide = x.double()
    return (0.5 * wide * (1.0 + torch.tanh(ROOT * (wide + CUBIC * wide**3)))).to(x.dtype)


def gelu_of_float32_only(x):
    if x.dtype != torch.float32:
        raise TypeError(f"expected float32, got {x.dtype}")
    return functional.gelu(x, approximate="tanh")


class _Gelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return 0.5 * x * (1.0 + torch.tanh(ROOT * (x + CUBIC * x**3)))

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        tanh = torch.tanh(ROOT * (x + CUBIC * x**3))
        left = 0.5 * (1.0 + tanh)
        # (1 - tanh^2) is 0 long before x^2 overflows anything
        right = 0.5 * x * (1.0 - tanh * tanh) * ROOT * (1.0 + 3.0 * CUBIC * x * x)
        return gradient * (left + right)


def gelu_with_its_own_backward(x):
    return _Gelu.apply(x)


# layer_norm ----------------------------------------------------------------------------------------------------------


def _halves_in_float32(norm):
    """float16 and bfloat16 in float32, as the contract asks; the rest as it comes."""

    def layer_norm(x, weight, bias, eps):
        if x.dtype not in (torch.float16, torch.bfloat16):
            return norm(x, weight, bias, eps)
        return norm(x.float(), weight.float(), None if bias is None else bias.float(), eps).to(x.dtype)

    layer_norm.__name__ = norm.__name__
    return layer_norm


def _shifted(value, bias):
    return value if bias is None else value + bias


def norm_of_torch(x, weight, bias, eps):
    return functional.layer_norm(x, (x.shape[-1],), weight, bias, eps)


def norm_module(x, weight, bias, eps):
    module = nn.LayerNorm(x.shape[-1], eps=eps, bias=bias is not None, dtype=x.dtype)
    tensors = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    return torch.func.functional_call(module, tensors, (x,))


@_halves_in_float32
def norm_by_rsqrt(x, weight, bias, eps):
    centred = x - x.mean(-1, keepdim=True)
    return _shifted(centred * torch.rsqrt(centred.square().mean(-1, keepdim=True) + eps) * weight, bias)


@_halves_in_float32
def norm_by_pow(x, weight, bias, eps):
    mean = x.mean(dim=-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(dim=-1, keepdim=True)
    return _shifted(weight * ((x - mean) * (variance + eps) ** -0.5), bias)


@_halves_in_float32
def norm_by_var_mean(x, weight, bias, eps):
    variance, mean = torch.var_mean(x, dim=-1, keepdim=True, unbiased=False)
    return _shifted((x - mean) / torch.sqrt(variance + eps) * weight, bias)


@_halves_in_float32
def norm_by_std_squared(x, weight, bias, eps):
    std = x.std(-1, keepdim=True, correction=0)
    return _shifted((x - x.mean(-1, keepdim=True)) / torch.sqrt(std**2 + eps) * weight, bias)


@_halves_in_float32
def norm_by_vector_norm(x, weight, bias, eps):
    centred = x - x.mean(-1, keepdim=True)
    length = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
    return _shifted(centred / torch.sqrt(length**2 / x.shape[-1] + eps) * weight, bias)


@_halves_in_float32
def norm_in_one_pass_from_the_first_feature(x, weight, bias, eps):
    """E[d^2] - E[d]^2 of the distances to the first feature: the large mean is gone before anything is squared."""
    distance = x - x[..., :1].detach()
    mean = distance.mean(-1, keepdim=True)
    variance = (distance.square().mean(-1, keepdim=True) - mean.square()).clamp_min(0.0)
    return _shifted((distance - mean) / torch.sqrt(variance + eps) * weight, bias)


@_halves_in_float32
def norm_by_welford(x, weight, bias, eps):
    """Welford's recurrence, feature by feature."""
    mean = torch.zeros_like(x[..., 0])
    squares = torch.zeros_like(mean)
    for count, value in enumerate(x.unbind(-1), start=1):
        step = value - mean
        mean = mean + step / count
        squares = squares + step * (value - mean)
    variance = squares / x.shape[-1]
    return _shifted((x - mean[..., None]) / torch.sqrt(variance[..., None] + eps) * weight, bias)


def norm_upcast(x, weight, bias, eps):
    """Always in float32 inside, as Llama's norm is."""
    wide = x.float()
    centred = wide - wide.mean(-1, keepdim=True)
    normalised = centred * torch.rsqrt(centred.pow(2).mean(-1, keepdim=True) + eps)
    return _shifted(normalised * weight.float(), None if bias is None else bias.float()).type_as(x)


def norm_with_statistics_in_float32(x, weight, bias, eps):
    """Only the statistics are taken in float32, as in T5: mean and root come back, the rest stays as it is."""
    wide = x.to(torch.float32)
    mean = wide.mean(-1, keepdim=True)
    variance = (wide - mean).pow(2).mean(-1, keepdim=True)
    return _shifted((x - mean) * torch.rsqrt(variance + eps) * weight, bias).to(x.dtype)


def norm_of_float32_only(x, weight, bias, eps):
    if x.dtype != torch.float32:
        raise RuntimeError(f'"layer_norm" not implemented for {x.dtype}')
    return norm_by_rsqrt(x, weight, bias, eps)


@_halves_in_float32
def norm_by_einsum(x, weight, bias, eps):
    share = x.new_full((x.shape[-1],), 1.0 / x.shape[-1])
    centred = x - torch.einsum("...d,d->...", x, share)[..., None]
    variance = torch.einsum("...d,...d,d->...", centred, centred, share)[..., None]
    return _shifted(torch.einsum("...d,d->...d", centred / torch.sqrt(variance + eps), weight), bias)


@_halves_in_float32
def norm_by_a_centring_matrix(x, weight, bias, eps):
    width = x.shape[-1]
    centring = torch.eye(width, dtype=x.dtype) - 1.0 / width
    centred = x @ centring
    return _shifted(centred / torch.sqrt((centred * centred).sum(-1, keepdim=True) / width + eps) * weight, bias)


@_halves_in_float32
def norm_by_addcmul(x, weight, bias, eps):
    centred = x - x.mean(-1, keepdim=True)
    normalised = centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()
    return normalised * weight if bias is None else torch.addcmul(bias, normalised, weight)


@_halves_in_float32
def norm_folded_into_one_affine_map(x, weight, bias, eps):
    """x a + (bias - mean a) with a = weight / deviation, as fused kernels do it."""
    mean = x.mean(-1, keepdim=True)
    slope = weight * torch.rsqrt(x.var(-1, keepdim=True, unbiased=False) + eps)
    return _shifted(x * slope - mean * slope, bias)


@_halves_in_float32
def norm_with_a_diagonal_weight(x, weight, bias, eps):
    centred = x - x.mean(-1, keepdim=True)
    normalised = centred / torch.sqrt(centred.square().mean(-1, keepdim=True) + eps)
    return functional.linear(normalised, torch.diag(weight), bias)


@_halves_in_float32
def norm_by_group_norm(x, weight, bias, eps):
    flat = x.reshape(-1, x.shape[-1])
    return functional.group_norm(flat, 1, weight, bias, eps).reshape(x.shape)


@_halves_in_float32
def norm_row_by_row(x, weight, bias, eps):
    rows = [norm_by_rsqrt(row, weight, bias, eps) for row in x.reshape(-1, x.shape[-1]).unbind(0)]
    return torch.stack(rows).reshape(x.shape)


class _LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, eps):
        centred = x - x.mean(-1, keepdim=True)
        inverse = torch.rsqrt(centred.square().mean(-1, keepdim=True) + eps)
        normalised = centred * inverse
        ctx.save_for_backward(normalised, inverse, weight)
        ctx.has_bias = bias is not None
        return _shifted(normalised * weight, bias)

    @staticmethod
    def backward(ctx, gradient):
        normalised, inverse, weight = ctx.saved_tensors
        inner = gradient * weight
        along = (inner * normalised).mean(-1, keepdim=True)
        dx = inverse * (inner - inner.mean(-1, keepdim=True) - normalised * along)
        rows = tuple(range(gradient.dim() - 1))
        dweight = (gradient * normalised).sum(rows) if rows else gradient * normalised
        dbias = None if not ctx.has_bias else gradient.sum(rows) if rows else gradient
        return dx, dweight, dbias, None


@_halves_in_float32
def norm_with_its_own_backward(x, weight, bias, eps):
    return _LayerNorm.apply(x, weight, bias, eps)


# mlp -----------------------------------------------------------------------------------------------------------------


def mlp_of_torch(x, up_weight, up_bias, down_weight, down_bias):
    hidden = functional.gelu(functional.linear(x, up_weight, up_bias), approximate="tanh")
    return functional.linear(hidden, down_weight, down_bias)


def mlp_as_modules(x, up_weight, up_bias, down_weight, down_bias):
    hidden, width = up_weight.shape
    up = nn.Linear(width, hidden, bias=up_bias is not None, device="meta")
    down = nn.Linear(hidden, width, bias=down_bias is not None, device="meta")
    tensors = {"0.weight": up_weight, "0.bias": up_bias, "2.weight": down_weight, "2.bias": down_bias}
    present = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    return torch.func.functional_call(nn.Sequential(up, nn.GELU("tanh"), down), present, (x,))


def _affine(x, weight, bias):
    """addmm on the flattened rows, with the weight turned first."""
    flat = x.reshape(-1, x.shape[-1])
    turned = weight.t().contiguous()
    out = flat @ turned if bias is None else torch.addmm(bias, flat, turned)
    return out.reshape(*x.shape[:-1], weight.shape[0])


def mlp_by_addmm(x, up_weight, up_bias, down_weight, down_bias):
    return _affine(gelu_by_sigmoid(_affine(x, up_weight, up_bias)), down_weight, down_bias)


def mlp_by_einsum(x, up_weight, up_bias, down_weight, down_bias):
    hidden = gelu_factored(_shifted(torch.einsum("...d,fd->...f", x, up_weight), up_bias))
    return _shifted(torch.einsum("...f,df->...d", hidden, down_weight), down_bias)


def mlp_in_chunks_of_the_hidden_axis(x, up_weight, up_bias, down_weight, down_bias):
    """Each slice of hidden features goes up and down alone; the results are summed."""
    total = None
    for start in range(0, up_weight.shape[0], 3):
        part = slice(start, start + 3)
        hidden = gelu_by_pow(functional.linear(x, up_weight[part], None if up_bias is None else up_bias[part]))
        down = functional.linear(hidden, down_weight[:, part])
        total = down if total is None else total + down
    return _shifted(total, down_bias)


def mlp_position_by_position(x, up_weight, up_bias, down_weight, down_bias):
    rows = x.reshape(-1, x.shape[-1]).unbind(0)
    out = [mlp_of_torch(row, up_weight, up_bias, down_weight, down_bias) for row in rows]
    return torch.stack(out).reshape(x.shape)


def mlp_checkpointed(x, up_weight, up_bias, down_weight, down_bias):
    return checkpoint(mlp_of_torch, x, up_weight, up_bias, down_weight, down_bias, use_reentrant=False)


def mlp_by_convolution(x, up_weight, up_bias, down_weight, down_bias):
    """Two convolutions along time with a kernel of one position."""
    sequences = x.reshape(-1, 1, x.shape[-1]).transpose(1, 2)
    hidden = gelu_of_torch(functional.conv1d(sequences, up_weight[:, :, None], up_bias))
    return functional.conv1d(hidden, down_weight[:, :, None], down_bias).transpose(1, 2).reshape(x.shape)


def mlp_with_biases_as_weights(x, up_weight, up_bias, down_weight, down_bias):
    """A constant feature of ones carries the bias."""

    def affine(value, weight, bias):
        if bias is None:
            return value @ weight.mT
        ones = value.new_ones(*value.shape[:-1], 1)
        return torch.cat((value, ones), -1) @ torch.cat((weight, bias[:, None]), 1).mT

    return affine(gelu_by_exp(affine(x, up_weight, up_bias)), down_weight, down_bias)


def mlp_upcast(x, up_weight, up_bias, down_weight, down_bias):
    """Always in float32 inside."""
    wide = [None if tensor is None else tensor.float() for tensor in (up_weight, up_bias, down_weight, down_bias)]
    return mlp_of_torch(x.float(), *wide).to(x.dtype)


def mlp_of_float32_only(x, up_weight, up_bias, down_weight, down_bias):
    if x.dtype != torch.float32:
        raise TypeError(f"expected float32, got {x.dtype}")
    return mlp_of_torch(x, up_weight, up_bias, down_weight, down_bias)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return _shifted(x @ weight.mT, bias)

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        flat, rows = gradient.reshape(-1, gradient.shape[-1]), x.reshape(-1, x.shape[-1])
        return gradient @ weight, flat.mT @ rows, flat.sum(0) if ctx.has_bias else None


def mlp_with_its_own_backward(x, up_weight, up_bias, down_weight, down_bias):
    return _Linear.apply(_Gelu.apply(_Linear.apply(x, up_weight, up_bias)), down_weight, down_bias)


# the list ------------------------------------------------------------------------------------------------------------

_GELUS = (
    gelu_of_torch,
    gelu_module,
    gelu_by_sigmoid,
    gelu_by_pow,
    gelu_with_constants_in_float32,
    gelu_with_both_constants_in_float32,
    gelu_factored,
    gelu_in_two_halves,
    gelu_in_place_on_its_own,
    gelu_by_exp,
    gelu_by_logsigmoid,
    gelu_upcast,
    gelu_upcast_to_double,
    gelu_of_float32_only,
    gelu_with_its_own_backward,
)
_NORMS = (
    norm_of_torch,
    norm_module,
    norm_by_rsqrt,
    norm_by_pow,
    norm_by_var_mean,
    norm_by_std_squared,
    norm_by_vector_norm,
    norm_in_one_pass_from_the_first_feature,
    norm_by_welford,
    norm_upcast,
    norm_with_statistics_in_float32,
    norm_of_float32_only,
    norm_by_einsum,
    norm_by_a_centring_matrix,
    norm_by_addcmul,
    norm_folded_into_one_affine_map,
    norm_with_a_diagonal_weight,
    norm_by_group_norm,
    norm_row_by_row,
    norm_with_its_own_backward,
)
_MLPS = (
    mlp_with_constants_in_float32,
    mlp_of_torch,
    mlp_as_modules,
    mlp_by_addmm,
    mlp_by_einsum,
    mlp_in_chunks_of_the_hidden_axis,
    mlp_position_by_position,
    mlp_checkpointed,
    mlp_by_convolution,
    mlp_with_biases_as_weights,
    mlp_upcast,
    mlp_of_float32_only,
    mlp_with_its_own_backward,
)

VARIANTS = {
    function.__name__.replace("_", " "): {component: function}
    for component, group in (("gelu", _GELUS), ("layer_norm", _NORMS), ("mlp", _MLPS))
    for function in group
}
