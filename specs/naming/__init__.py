"""What published code calls the tensors, sizes, arguments and functions that the contracts name. Data only."""


def names(text: str) -> tuple[str, ...]:
    """The names in this text, which spaces separate."""
    return tuple(text.split())
