"""A whole training run, small enough to be read."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from reference_model.block import block
from reference_model.config import Config
from reference_model.gpt2 import initialise
from reference_model.layer_norm import layer_norm
from reference_model.linear import linear
from reference_model.lm_loss import lm_loss


def trainer(config: Any, data: Tensor, seed: int) -> dict[str, Any]:
    """Train a fresh GPT-2 on tokens.

    -> {"loss": of every step, "evaluation": every so often, "start" and "end": weights}

    config: vocab_size, context, width, heads, layers, batch_size, steps, lr, and optionally dropout (of the stream that
    enters the blocks) and eval_interval (0: never).  data: int64 [N], N > context; a step sees batch_size windows of it
    from places drawn from the seed, with the tokens one further as targets.  Gradients are clipped to a total norm of
    1, between backward and step.  The loss of a step is that before its move.  Evaluation is the mean over the first
    windows of the data, without dropout; it moves nothing and draws nothing.
    Raises ValueError where the data hold no whole window.
    Source: Radford et al. 2018, section 4.1; karpathy/nanoGPT train.py.
    """
    if len(data) <= config.context:
        raise ValueError(f"{len(data)} tokens hold no window of {config.context} and one more")
    generator = torch.Generator().manual_seed(seed)
    sizes = Config(config.vocab_size, config.context, config.width, config.heads, config.layers)
    weights = initialise(sizes, generator)
    parameters = named(weights)
    for parameter in parameters.values():
        parameter.requires_grad_()
    optimizer = torch.optim.AdamW(parameters.values(), lr=config.lr)
    start = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    losses: list[float] = []
    evaluations: list[float] = []
    dropout = float(config.dropout)

    for step in range(config.steps):
        if config.eval_interval and step % config.eval_interval == 0:
            dropout = 0.0
            evaluations.append(evaluate(config, data, weights, dropout, generator))
            dropout = config.dropout
        places = torch.randint(0, len(data) - config.context, (config.batch_size,), generator=generator)
        ids, targets = windows(data, places, config.context)
        loss = lm_loss(logits_of(ids, weights, config, dropout, generator), targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    end = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    return {"loss": losses, "evaluation": evaluations, "start": start, "end": end}


def windows(data: Tensor, places: Tensor, context: int) -> tuple[Tensor, Tensor]:
    """Tokens from each place on, and the ones that come next.  -> ids [B, context], targets [B, context]"""
    ids = torch.stack([data[place : place + context] for place in places.tolist()])
    targets = torch.stack([data[place + 1 : place + 1 + context] for place in places.tolist()])
    return ids, targets


def logits_of(
    ids: Tensor, weights: Mapping[str, Any], config: Any, dropout: float, generator: torch.Generator
) -> Tensor:
    """`gpt2` with dropout where the embeddings enter the blocks.  -> [B, T, V]"""
    stream = weights["token_embedding"][ids] + weights["position_embedding"][: ids.shape[1]]
    if dropout > 0:
        kept = torch.rand(stream.shape, generator=generator) >= dropout
        stream = stream * kept / (1 - dropout)
    for layer in weights["blocks"]:
        stream = block(stream, layer, config.heads)
    normed = layer_norm(stream, weights["final_norm_weight"], weights["final_norm_bias"], 1e-5)
    return linear(normed, weights["token_embedding"], None)


def evaluate(
    config: Any, data: Tensor, weights: Mapping[str, Any], dropout: float, generator: torch.Generator
) -> float:
    """The mean loss over the first windows of the data."""
    places = torch.arange(min(config.batch_size, len(data) - config.context))
    ids, targets = windows(data, places, config.context)
    with torch.no_grad():
        loss = lm_loss(logits_of(ids, weights, config, dropout, generator), targets)
    return float(loss)


def named(weights: Mapping[str, Any]) -> dict[str, Tensor]:
    """Every tensor by a name of its own."""
    found = {name: value for name, value in weights.items() if name != "blocks"}
    for place, layer in enumerate(weights["blocks"]):
        found |= {f"blocks.{place}.{name}": value for name, value in layer.items()}
    return found
