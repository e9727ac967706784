"""Right implementations of AdamW that differ in how they get there; none of them may fail a claim."""

import math
from functools import partial

import torch

from specs.shared.optimizers import torch_form


class AdamWInPlace(torch.optim.Optimizer):
    """A subclass of torch's Optimizer, as courses write it: everything in place, one counter per parameter in its
    state."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["t"], state["m"], state["v"] = 0, torch.zeros_like(p), torch.zeros_like(p)
                state["t"] += 1
                p.mul_(1 - group["lr"] * group["weight_decay"])
                state["m"].mul_(beta1).add_(p.grad, alpha=1 - beta1)
                state["v"].mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
                bias1, bias2 = 1 - beta1 ** state["t"], 1 - beta2 ** state["t"]
                denominator = (state["v"].sqrt() / math.sqrt(bias2)).add_(group["eps"])
                p.addcdiv_(state["m"], denominator, value=-group["lr"] / bias1)


class PlainAdamW:
    """No base class, a dictionary of moments by place, new tensors in every step, .data throughout; knows no groups."""

    def __init__(self, parameters, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8, wd=0.0):
        self.parameters, self.learning_rate, self.beta1, self.beta2 = list(parameters), learning_rate, beta1, beta2
        self.epsilon, self.wd, self.moments = epsilon, wd, {}

    def step(self):
        for i, p in enumerate(self.parameters):
            if p.grad is not None:
                t, m, v = self.moments.get(i, (0, torch.zeros_like(p.data), torch.zeros_like(p.data)))
                t, m, v = t + 1, torch.lerp(p.grad, m, self.beta1), torch.lerp(p.grad * p.grad, v, self.beta2)
                self.moments[i] = (t, m, v)
                m_hat, v_hat = m / (1 - self.beta1**t), v / (1 - self.beta2**t)
                update = m_hat * (v_hat**0.5 + self.epsilon) ** -1
                p.data = p.data - self.learning_rate * (update + self.wd * p.data)

    def zero_grad(self):
        for p in self.parameters:
            p.grad = None

    def state_dict(self):
        return {"moments": dict(self.moments)}

    def load_state_dict(self, state):
        self.moments = dict(state["moments"])


class FunctionalAdamW:
    """The contract's own form: every parameter in one long vector, masks in place of loops; live tensors come back.

    Settings and counters are float32 at least: in bfloat16 0.999 is 1, and a counter stops at 256.
    """

    def __init__(self, params, groups, lr, betas, eps, weight_decay):
        self.live = [p.clone() for p in params]
        self.sizes = [p.numel() for p in params]
        self.flat = torch.cat([p.reshape(-1) for p in params])
        per = [{"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay} for _ in params]
        for group in groups or []:
            for place in group["params"]:
                per[place] = {**per[place], **group}
        dtype = torch.promote_types(self.flat.dtype, torch.float32)
        self.flat = self.flat.to(dtype)
        wide = lambda values: torch.cat([self.flat.new_full((n,), v) for n, v in zip(self.sizes, values, strict=True)])  # noqa: E731
        self.lr, self.eps, self.decay = (wide([g[k] for g in per]) for k in ("lr", "eps", "weight_decay"))
        self.b1, self.b2 = wide([g["betas"][0] for g in per]), wide([g["betas"][1] for g in per])
        self.m, self.v, self.t = (torch.zeros_like(self.flat) for _ in range(3))

    def step(self, grads):
        here = (
            torch.cat([self.flat.new_full((n,), float(g is not None)) for n, g in zip(self.sizes, grads, strict=True)])
            > 0
        )
        grad = torch.cat(
            [
                torch.zeros(n, dtype=self.flat.dtype) if g is None else g.reshape(-1)
                for n, g in zip(self.sizes, grads, strict=True)
            ]
        )
        self.t = self.t + here
        self.m = torch.where(here, self.m + (1 - self.b1) * (grad - self.m), self.m)
        self.v = torch.where(here, self.v + (1 - self.b2) * (grad**2 - self.v), self.v)
        one, two = 1 - self.b1**self.t, 1 - self.b2**self.t
        new = (
            self.flat - self.lr * self.decay * self.flat - self.lr * (self.m / one) / ((self.v / two).sqrt() + self.eps)
        )
        self.flat = torch.where(here, new, self.flat)
        for p, piece in zip(self.live, self.flat.split(self.sizes), strict=True):
            p.copy_(piece.view(p.shape))
        return self.live

    def set_lr(self, lr):
        self.lr = torch.full_like(self.lr, lr)

    def state(self):
        return self.m, self.v, self.t

    def load(self, state):
        self.m, self.v, self.t = state


class CounterInFloat32(AdamWInPlace):
    """The bias correction from a float32 tensor that counts, as torch's capturable form has it."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in (p for p in group["params"] if p.grad is not None):
                state = self.state[p]
                if not state:
                    state["step"], state["m"], state["v"] = torch.tensor(0.0), torch.zeros_like(p), torch.zeros_like(p)
                state["step"] += 1
                p.mul_(1 - group["lr"] * group["weight_decay"])
                state["m"].lerp_(p.grad, 1 - beta1)
                state["v"].mul_(beta2).add_(p.grad.square() * (1 - beta2))
                bias1, bias2 = 1 - beta1 ** state["step"], 1 - beta2 ** state["step"]
                p.sub_(group["lr"] * (state["m"] / bias1) / ((state["v"] / bias2).sqrt() + group["eps"]))


_FORMS = {
    "of torch": torch.optim.AdamW,
    "of torch in one call": partial(torch.optim.AdamW, foreach=True),
    "of torch fused": partial(torch.optim.AdamW, fused=True),
    "of torch tensor by tensor": partial(torch.optim.AdamW, foreach=False),
    "of torch decoupled by a switch": partial(torch.optim.Adam, decoupled_weight_decay=True),
    "in place": AdamWInPlace,
    "plain": PlainAdamW,
    "with a counter in float32": CounterInFloat32,
}
VARIANTS = {f"adamw {name}": {"adamw": torch_form(make)} for name, make in _FORMS.items()}
VARIANTS["adamw of one long vector"] = {"adamw": FunctionalAdamW}
