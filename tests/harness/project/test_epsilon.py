"""A norm's epsilon, read from wherever it is declared."""

import pytest

from harness.core.errors import UsageError
from harness.project.epsilon import epsilon


def test_numbers_and_their_texts_are_read() -> None:
    """As TOML, a dictionary and a command line give them."""
    assert epsilon(1e-6, "there") == epsilon("1e-6", "there") == 1e-6


@pytest.mark.parametrize("value", [0, -1e-6, 1, "small", None, True, float("nan")])
def test_anything_else_is_refused_with_its_place(value: object) -> None:
    """And an example of what it should be."""
    with pytest.raises(UsageError, match=r"there: eps is a small positive number like 1e-6"):
        epsilon(value, "there")
