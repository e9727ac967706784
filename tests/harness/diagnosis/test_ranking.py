"""In which order what explains equally well is named."""

from harness.core.mistake import KnownMistake
from harness.diagnosis.ranking import forms_before_their_likes


def known(name: str, component: str, looks_like: tuple[str, ...] = (), variant: str = "") -> KnownMistake:
    return KnownMistake(name, "", known, component=component, looks_like=looks_like, variant=variant)


def test_a_form_goes_before_the_mistake_that_looks_like_it_and_before_no_other() -> None:
    """Rows scaled in the embedding are a legal form; a whole that scales twice has a mistake of its own."""
    whole = known("scaled_by_width", "whole")
    scaled, form = known("scaled", "part", ("variant=rows",)), known("variant=rows", "part", variant="rows")
    assert forms_before_their_likes([whole, scaled, form]) == [whole, form, scaled]
    assert forms_before_their_likes([scaled, form]) == [form, scaled]
    assert forms_before_their_likes([form, whole]) == [form, whole]
