"""A telling set is chosen so that every known mistake is told, from the reference and from the others."""

from dataclasses import replace

from harness.judging import telling_choice
from harness.judging.catalogue import load_catalogue
from harness.judging.telling_check import changed_cases, lost_power, untold
from harness.judging.telling_choice import choose
from harness.judging.telling_power import Apart, Pooled, Power, Told
from harness.strategies.sampling import single

KNOWN = load_catalogue()


def test_a_chosen_set_tells_every_mistake_that_the_pool_tells(monkeypatch) -> None:
    """Of a component with few of them, on as many cases as there are, two at most."""
    few = replace(KNOWN, mistakes={"gelu": KNOWN.mistakes["gelu"][:5]}, claims={})
    contract = KNOWN.contracts["gelu"]
    few = replace(few, contracts={"gelu": replace(contract, claims=contract.claims[:1], variants=(), parts=())})
    monkeypatch.setattr(telling_choice, "LARGEST_POOL", 10)
    chosen = choose(few, "gelu")
    assert untold(few, chosen) == [] and changed_cases(few, chosen) == [] and lost_power(few, chosen) == []
    assert all(len(numbers) >= 2 for numbers in chosen.told_by.values())
    assert {"time", "width", "batch"} >= {name for case in chosen.cases for name in case.sizes} >= {"width"}


def test_look_alikes_are_told_apart_where_their_numbers_differ() -> None:
    """The biased and the unbiased variance differ less the wider the rows are; never by nothing."""
    power = Power(KNOWN, "layer_norm")
    names = ("unbiased_variance", "unbiased_and_eps_outside", "half_precision_statistics")
    mistakes = [KNOWN.mistake(f"layer_norm.{name}") for name in names]
    pooled = Pooled(0, single(KNOWN.contracts["layer_norm"].cases(), 6))
    power.tell(pooled, mistakes)
    one, other, in_half = (mistake.full_name for mistake in mistakes)
    assert {Told(one), Told(other), Apart(*sorted((one, other)))} == pooled.shows, f"{in_half} shows in 16 bits alone"
