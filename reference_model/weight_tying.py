"""The token embedding and the head of a language model as one tensor."""

import copy
import io
from typing import Any

import torch
from torch import Tensor, nn

from reference_model.config import Config


class weight_tying(nn.Module):
    """The smallest language model with a tied head: what an id is embedded as is also what its logit is computed with.

    logits = norm(W_e[ids] + W_p[0..T-1]) W_e^T.  W_e is one Parameter under two names: stored once, trained once, with
    the gradients of both uses added up.
    Source: Press and Wolf 2017, section 2; Radford et al. 2018, section 3.1, equation 2.
    """

    def __init__(self, config: Config, seed: int) -> None:
        nn.Module.__init__(self)
        generator = torch.Generator().manual_seed(seed)
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.width)
        self.position_embedding = nn.Embedding(config.context, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.vocab_size, bias=False)
        for table in (self.token_embedding.weight, self.position_embedding.weight, self.head.weight):
            nn.init.normal_(table, std=0.5, generator=generator)
        self.tie()

    def tie(self) -> None:
        """From now on the head's parameter is the embedding's."""
        self.head.weight = self.token_embedding.weight

    def forward(self, ids: Tensor) -> Tensor:
        """ids int [B, T] -> logits [B, T, V]"""
        return self.logits_with(ids, self.token_embedding.weight, self.head.weight)

    def logits_with(self, ids: Tensor, table: Tensor, head: Tensor) -> Tensor:
        """The same with these tensors in the two places, which shows what each of them contributes to the gradient."""
        tokens = table[ids]
        places = self.position_embedding.weight[: ids.shape[1]]
        normed: Tensor = self.norm(tokens + places)
        return normed @ head.T

    def logits(self, ids: Tensor) -> Tensor:
        """As forward, without gradients."""
        logits: Tensor = self(ids)
        return logits.detach()

    def shared(self) -> dict[str, int]:
        """How many parameters, and how many memories, the two are; how many numbers are trained."""
        both = [self.token_embedding.weight, self.head.weight]
        parameters = len({id(p) for p in both})
        memories = len({p.data_ptr() for p in both})
        return {"parameters": parameters, "memories": memories, "numbers": self.count()}

    def count(self) -> int:
        """How many numbers are trained, each once."""
        return sum(p.numel() for p in self.parameters())

    def add(self, amount: float) -> dict[str, Tensor]:
        """Add to every number of the embedding.  -> what the two hold then"""
        with torch.no_grad():
            self.token_embedding.weight.add_(amount)
        return {"embedding": self.token_embedding.weight.detach().clone(), "head": self.head.weight.detach().clone()}

    def gradients(self, ids: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Of the loss: what the shared tensor receives, and what each use alone contributes."""
        self.zero_grad()
        loss_of(self(ids), targets).backward()
        table = self.token_embedding.weight.detach().clone().requires_grad_()
        head = self.head.weight.detach().clone().requires_grad_()
        by_table, by_head = torch.autograd.grad(loss_of(self.apart(ids, table, head), targets), (table, head))
        return {"whole": self.token_embedding.weight.grad.clone(), "embedding": by_table, "head": by_head}  # type: ignore[union-attr]

    def apart(self, ids: Tensor, table: Tensor, head: Tensor) -> Tensor:
        """The two as tensors of their own."""
        tokens = table[ids]
        normed: Tensor = self.norm(tokens + self.position_embedding.weight[: ids.shape[1]])
        return normed @ head.T

    def step(self, ids: Tensor, targets: Tensor, lr: float) -> dict[str, Tensor]:
        """One step of Adam, with which every number moves by lr or less.

        -> the embedding before and after, and the head
        """
        before = self.token_embedding.weight.detach().clone()
        optimizer = torch.optim.Adam(self.parameters(), lr=lr)
        optimizer.zero_grad()
        loss_of(self(ids), targets).backward()
        optimizer.step()
        after = self.token_embedding.weight.detach().clone()
        return {"before": before, "after": after, "head": self.head.weight.detach().clone()}

    def cast(self, dtype: str) -> None:
        """Move everything to another dtype."""
        self.to(getattr(torch, dtype))

    def reload(self) -> None:
        """Save the state, and go on with a new model that loaded it."""
        file = io.BytesIO()
        torch.save(self.state_dict(), file)
        file.seek(0)
        fresh = type(self)(self.config, seed=1).to(self.norm.weight.dtype)
        fresh.load_state_dict(torch.load(file))
        self.become(fresh)

    def reload_without_head(self) -> None:
        """The same from a file that holds the tensor once, under the embedding's name."""
        state = {name: value.clone() for name, value in self.state_dict().items() if name != "head.weight"}
        fresh = type(self)(self.config, seed=1).to(self.norm.weight.dtype)
        fresh.load_state_dict(state, strict=False)
        self.become(fresh)

    def duplicate(self) -> None:
        """Go on with a deep copy."""
        self.become(copy.deepcopy(self))

    def become(self, other: Any) -> None:
        """Take over the modules of another one."""
        for name, module in other.named_children():
            setattr(self, name, module)


def loss_of(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean negative logarithm of the targets' probabilities.  -> []"""
    return nn.functional.cross_entropy(logits.flatten(0, -2), targets.flatten())
