"""Right ways to keep AdamW's moments in eight bits; none of them may fail a claim."""

import math

import torch

from specs.shared.optimizers import torch_form


class EvenSteps(torch.optim.Optimizer):
    """Even steps in place of the dynamic map, the root of the second moment in place of it; blocks of 128, small ones
    too."""

    block = 128

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def put(self, x, levels):
        flat = torch.nn.functional.pad(x.reshape(-1), (0, -x.numel() % self.block)).view(-1, self.block)
        scale = flat.abs().amax(1, keepdim=True)
        code = torch.round(flat / torch.where(scale > 0, scale, torch.ones_like(scale)) * levels)
        return code.to(torch.int8 if levels == 127 else torch.uint8), scale.float()

    def get(self, kept, levels, like):
        code, scale = kept
        return (code.to(like.dtype) * (scale.to(like.dtype) / levels)).reshape(-1)[: like.numel()].view(like.shape)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            one, two = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["t"], state["m"], state["r"] = (
                        0,
                        self.put(torch.zeros_like(p), 127),
                        self.put(torch.zeros_like(p), 255),
                    )
                state["t"] += 1
                m = one * self.get(state["m"], 127, p) + (1 - one) * p.grad
                v = two * self.get(state["r"], 255, p) ** 2 + (1 - two) * p.grad**2
                state["m"], state["r"] = self.put(m, 127), self.put(v.sqrt(), 255)
                p.mul_(1 - group["lr"] * group["weight_decay"])
                root = v.sqrt() / math.sqrt(1 - two ** state["t"])
                p.sub_(group["lr"] * (m / (1 - one ** state["t"])) / (root + group["eps"]))


class QuantizedFirst(EvenSteps):
    """The moments are packed before the step uses them, so that the first step is rounded too; blocks of 2048."""

    block = 2048

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            one, two = group["betas"]
            for p in (p for p in group["params"] if p.grad is not None):
                state = self.state[p]
                t, m, v = state.get("t", 0) + 1, torch.zeros_like(p), torch.zeros_like(p)
                if t > 1:
                    m, v = self.get(state["m"], 127, p), self.get(state["v"], 255, p)
                state["t"], state["m"] = t, self.put(one * m + (1 - one) * p.grad, 127)
                state["v"] = self.put(two * v + (1 - two) * p.grad.square(), 255)
                m, v = self.get(state["m"], 127, p) / (1 - one**t), self.get(state["v"], 255, p) / (1 - two**t)
                p.copy_(p - group["lr"] * (m / (v.sqrt() + group["eps"]) + group["weight_decay"] * p))


VARIANTS = {
    "adamw in eight bits of even steps": {"adamw_8bit": torch_form(EvenSteps)},
    "adamw in eight bits quantized first": {"adamw_8bit": torch_form(QuantizedFirst)},
}
