"""A batch of training examples from one long row of ids.

Source: karpathy/nanoGPT train.py `get_batch`; Stanford CS336, assignment 1, section 5.1 (data loading).
"""

import torch


def get_batch(
    tokens: torch.Tensor,
    batch: int,
    time: int,
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Stretches of the data that start anywhere, and what follows each of their tokens.

    tokens: [length], integers.  Returns x and y, both int64 [batch, time]; y[b, t] is what follows x[b, t] in the data.
    Every start from 0 to length - time - 1 is equally likely, each row's drawn by itself; the last of them
    has its last target at the very end of the data.  Without a generator torch's global one is used.
    Raises ValueError where the data is no longer than one row.
    """
    legal = len(tokens) - time
    if legal < 1:
        raise ValueError(f"tokens: {len(tokens)} are too few for rows of {time} and the one that follows")
    starts = torch.randint(legal, (batch,), generator=generator)
    steps = torch.arange(time)
    places = starts[:, None] + steps
    x = tokens[places].long()
    y = tokens[places + 1].long()
    return x, y
