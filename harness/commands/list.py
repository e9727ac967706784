"""``plumbline list``: components, their claims and known mistakes, for people or as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence

from harness.commands import _layout as layout
from harness.commands._command import Command, component_of
from harness.core.claim import Claim
from harness.core.formatting import signature_line
from harness.core.mistake import KnownMistake
from harness.judging.catalogue import Catalogue, load_catalogue

DETAILS = """\
--json prints one object with the keys
  version      1
  components   a list, parts before the components made of them; each has
    name, meaning, signature
    parts      names of the components that it is made of
    variants   its legal variants: a list of {name, sentence, axis, default};
               those on different axes may be declared together
    numbers    its legal variants that are a number: a list of {axis, sentence}
    claims     what is checked: a list of {name, sentence, aliases}
    mistakes   its known mistakes: a list of {name, sentence, aliases}
The keys keep their order and their meaning within a version. Elsewhere a claim
is written COMPONENT::CLAIM and a known mistake COMPONENT.MISTAKE. Aliases are
earlier names; `plumbline explain` and `--impl=mistake:` still take them.

examples:
  plumbline list                          every component
  plumbline list layer_norm               the claims of one component
  plumbline list --mistakes layer_norm    its known mistakes
  plumbline list --json                   everything, for a program"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``plumbline list``."""
    parser.add_argument("component", nargs="*", metavar="COMPONENT", help="only these, with their claims")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--mistakes", action="store_true", help="list known mistakes instead of claims")
    what.add_argument("--bugs", dest="mistakes", action="store_true", help=argparse.SUPPRESS)
    what.add_argument("--json", action="store_true", help="print components, claims and known mistakes as JSON")


def run(options: argparse.Namespace) -> int:
    """Print what was asked for."""
    known = load_catalogue()
    names = [component_of(known, name) for name in options.component] or list(known.contracts)
    if options.json:
        print(json.dumps(as_json(known, names), indent=1))
        return 0
    if options.mistakes:
        mistakes = [mistake for name in names for mistake in known.mistakes.get(name, ())]
        lines = layout.named(((mistake.full_name, mistake.sentence) for mistake in mistakes), "")
    elif options.component:
        lines = [line for name in names for line in _with_claims(known, name)]
    else:
        lines = _table(known, names)
    print("\n".join(lines))
    return 0


def as_json(known: Catalogue, names: Iterable[str]) -> dict[str, object]:
    """The catalogue in plain values; the keys are documented in ``plumbline list --help``."""
    return {"version": 1, "components": [_component(known, name) for name in names]}


def _component(known: Catalogue, name: str) -> dict[str, object]:
    contract = known.contracts[name]
    return {
        "name": name,
        "meaning": contract.meaning,
        "signature": signature_line(contract),
        "parts": list(contract.parts),
        "variants": [
            {"name": v.name, "sentence": v.sentence, "axis": v.axis, "default": v.is_default} for v in contract.variants
        ],
        "numbers": [{"axis": form.axis, "sentence": form.sentence.format("NUMBER")} for form in contract.numbers],
        "claims": [_named(claim) for claim in known.claims_of(name)],
        "mistakes": [_named(mistake) for mistake in known.mistakes.get(name, ())],
    }


def _named(one: Claim | KnownMistake) -> dict[str, object]:
    return {"name": one.name, "sentence": one.sentence, "aliases": list(one.aliases)}


def _table(known: Catalogue, names: Sequence[str]) -> list[str]:
    """One row a component, and the sum."""
    longest = max(len(name) for name in names)
    rows = [(f"{'component':<{longest}}  claims  mistakes", "what it computes")]
    for name in names:
        claims, mistakes = len(known.claims_of(name)), len(known.mistakes.get(name, ()))
        rows.append((f"{name:<{longest}}  {claims:>6}  {mistakes:>8}", known.contracts[name].meaning))
    claims = sum(len(known.claims_of(name)) for name in names)
    mistakes = len(known.all_mistakes())
    return [*layout.named(rows, ""), f"{len(names)} components, {claims} claims, {mistakes} known mistakes"]


def _with_claims(known: Catalogue, name: str) -> list[str]:
    claims = known.claims_of(name)
    title = f"{name} - {known.contracts[name].meaning}"
    count = f"{len(claims)} claims, {len(known.mistakes.get(name, ()))} known mistakes"
    return [*layout.paragraph(title), count, *layout.named((claim.name, claim.sentence) for claim in claims)]


COMMAND = Command("list components, their claims and known mistakes", arguments, run, DETAILS)
