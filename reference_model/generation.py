"""A model that goes on writing."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from reference_model.gpt2 import gpt2
from reference_model.next_token_distribution import next_token_distribution


class generation:
    """Draws one id after the other from what the model gives for all that stands before it.

    weights and config: as the model takes them, `gpt2` or another one like it.
    Source: openai/gpt-2 src/sample.py `sample_sequence`; Holtzman et al. 2020, section 3.
    """

    def __init__(self, weights: Mapping[str, Any], config: Any, model: Callable[..., Tensor] = gpt2) -> None:
        self.weights = weights
        self.config = config
        self.model = model

    def generate(
        self,
        ids: Tensor,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        end_token: int | None = None,
    ) -> Tensor:
        """ids int [B, T], each row with up to max_new_tokens more drawn from `next_token_distribution`.  -> [B, T + n]

        The model sees the last `config.context` ids. temperature 0 and top_k 1 take the most likely id.
        A row that has drawn end_token goes on with nothing else; when all have, nothing more is drawn.
        Raises ValueError for a max_new_tokens below 0 or an empty prompt.
        """
        if max_new_tokens < 0:
            raise ValueError(f"max_new_tokens must be at least 0, not {max_new_tokens}")
        if ids.shape[1] < 1:
            raise ValueError("a prompt must hold at least one id")
        ended = torch.zeros(ids.shape[0], 1, dtype=torch.bool)
        for _ in range(max_new_tokens):
            seen = ids[:, -self.config.context :]
            logits = self.model(seen, self.weights, self.config)  # [B, T, V]
            last = logits[:, -1]
            probabilities = next_token_distribution(last, temperature, top_k, top_p)
            drawn = torch.multinomial(probabilities, 1)  # [B, 1]
            if end_token is not None:
                drawn = drawn.masked_fill(ended, end_token)
                ended = ended | (drawn == end_token)
            ids = torch.cat([ids, drawn], dim=1)
            if bool(ended.all()):
                break
        return ids
