"""Right training runs of other models, optimisers and histories; none of them may fail a claim."""

import torch
from torch import nn
from torch.nn import functional


class Model(nn.Module):
    """Torch's own layers with torch's own first numbers, untied; small embeddings."""

    def __init__(self, c):
        super().__init__()
        self.tokens, self.places = nn.Embedding(c.vocab_size, c.width), nn.Embedding(c.context, c.width)
        nn.init.normal_(self.tokens.weight, std=0.1)
        layer = nn.TransformerEncoderLayer(
            c.width, c.heads, 4 * c.width, c.dropout, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, c.layers, enable_nested_tensor=False)
        self.head = nn.Linear(c.width, c.vocab_size, bias=False)

    def forward(self, ids):
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
        return self.head(self.layers(x, mask=mask, is_causal=True))


def loop(config, data, seed, evaluate=True):
    torch.manual_seed(seed)
    model = Model(config)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, betas=(0.9, 0.95))
    losses, evaluations = [], []
    for step in range(config.steps):
        if evaluate and config.eval_interval and step % config.eval_interval == 0:
            model.eval()
            with torch.no_grad():
                evaluations.append(
                    (
                        step,
                        functional.cross_entropy(
                            model(data[None, : config.context])[0], data[1 : config.context + 1]
                        ).item(),
                    )
                )
            model.train()
        starts = torch.randint(len(data) - config.context, (config.batch_size,))
        x = torch.stack([data[i : i + config.context] for i in starts])
        y = torch.stack([data[i + 1 : i + 1 + config.context] for i in starts])
        loss = functional.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach())
    return losses, evaluations


def train_with_modules(config, data, seed):
    """Lists in a dictionary, evaluations with their steps."""
    losses, evaluations = loop(config, data, seed)
    return {"train_losses": losses, "val_losses": evaluations}


def train_and_tell_losses(config, data, seed):
    """A tensor of losses alone."""
    return torch.stack(loop(config, data, seed, evaluate=False)[0])


def train_and_tell_steps(config, data, seed):
    """A record for every step."""
    return [
        {"step": step, "loss": loss.item()} for step, loss in enumerate(loop(config, data, seed, evaluate=False)[0])
    ]


_ALL = (train_with_modules, train_and_tell_losses, train_and_tell_steps)
VARIANTS = {f.__name__.replace("_", " "): {"trainer": f} for f in _ALL}
