"""Right ways to tie: the embedding is the head's, the head is a function of the embedding, one dictionary of
tensors."""

import copy

import torch
from torch.nn import functional

from reference_model.weight_tying import weight_tying


class TheOtherWayRound(weight_tying):
    """The embedding takes the head's parameter, before anything is drawn."""

    def tie(self):
        self.token_embedding.weight = self.head.weight


class Registered(weight_tying):
    """One registered parameter; both layers hold it."""

    def tie(self):
        self.register_parameter("shared_weight", self.token_embedding.weight)
        self.head.weight = self.token_embedding.weight = self.shared_weight


class OneTensor:
    """No modules: a dictionary of tensors, of which one is read twice."""

    def __init__(self, config, seed):
        generator = torch.Generator().manual_seed(seed)
        sizes = {"wte": (config.vocab_size, config.width), "wpe": (config.context, config.width)}
        self.w = {n: (0.3 * torch.randn(s, generator=generator)).requires_grad_() for n, s in sizes.items()}
        self.w |= {
            "g": torch.ones(config.width, requires_grad=True),
            "b": torch.zeros(config.width, requires_grad=True),
        }

    def run(self, ids, table, head):
        x = functional.embedding(ids, table) + self.w["wpe"][: ids.shape[1]]
        return functional.linear(functional.layer_norm(x, x.shape[-1:], self.w["g"], self.w["b"]), head)

    def shared(self):
        return {"parameters": 1, "memories": 1, "numbers": sum(t.numel() for t in self.w.values())}

    def logits(self, ids):
        return self.run(ids, self.w["wte"], self.w["wte"]).detach()

    def add(self, amount):
        self.w["wte"].data += amount
        return {"embedding": self.w["wte"].detach(), "head": self.w["wte"].detach()}

    def loss(self, ids, targets, *both):
        return functional.cross_entropy(self.run(ids, *both).transpose(1, 2), targets)

    def gradients(self, ids, targets):
        (whole,) = torch.autograd.grad(self.loss(ids, targets, self.w["wte"], self.w["wte"]), self.w["wte"])
        both = [self.w["wte"].detach().clone().requires_grad_() for _ in range(2)]
        embedding, head = torch.autograd.grad(self.loss(ids, targets, *both), both)
        return {"whole": whole, "embedding": embedding, "head": head}

    def step(self, ids, targets, lr):
        before = self.w["wte"].detach().clone()
        optimizer = torch.optim.AdamW(self.w.values(), lr=lr, weight_decay=0.0)
        self.loss(ids, targets, self.w["wte"], self.w["wte"]).backward()
        optimizer.step()
        optimizer.zero_grad()
        return {"before": before, "after": self.w["wte"].detach(), "head": self.w["wte"].detach()}

    def cast(self, dtype):
        self.w = {n: t.detach().to(getattr(torch, dtype)).requires_grad_() for n, t in self.w.items()}

    def reload(self):
        self.w = {n: t.detach().clone().requires_grad_() for n, t in copy.deepcopy(self.w).items()}

    def duplicate(self):
        self.w = copy.deepcopy(self.w)


VARIANTS = {
    "the other way round": {"weight_tying": TheOtherWayRound},
    "registered": {"weight_tying": Registered},
    "one tensor": {"weight_tying": OneTensor},
}
