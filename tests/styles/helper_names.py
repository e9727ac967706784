"""Helpers that happen to be called like components, with other arguments and another meaning; one real softmax beside them."""

import torch


def softmax(x, dim=-1):
    e = torch.exp(x - x.amax(dim, keepdim=True))
    return e / e.sum(dim, keepdim=True)


def block(text, width=72):
    """A paragraph, wrapped."""
    words, lines = text.split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) + 1 > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def rope(length, knots):
    """Places of knots on a rope of this length."""
    return [length * i / (knots + 1) for i in range(1, knots + 1)]


def attention(message):
    print(f"*** {message} ***")


def checkpoint(step, every):
    return step % every == 0


def generation(parents, children, keep):
    """The next generation of a genetic search."""
    return sorted([*parents, *children])[:keep]


def trainer(name, level):
    return {"name": name, "level": level}


def tokenizer(path, *, encoding="utf-8"):
    with open(path, encoding=encoding) as file:
        return file.read().split()


def linear(start, stop, steps):
    return torch.linspace(start, stop, steps)
