"""``plumbline explain``: a component, a claim or a known mistake in words."""

from __future__ import annotations

import argparse
import inspect
import textwrap

from harness.commands._command import Command, component_of, nearest
from harness.core.errors import UsageError
from harness.judging.catalogue import Catalogue, load_catalogue
from harness.project.variants import how_to_declare


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name")


def run(options: argparse.Namespace) -> int:
    known, name = load_catalogue(), options.name
    if "::" in name:
        component, _, claim_name = name.partition("::")
        print(_explain_claim(known, component_of(known, component), claim_name))
    elif name in known.contracts:
        print(_explaincomponent_of(known, name))
    elif "." in name:
        print(explain_bug(known, name))
    elif any(name == c.name for n in known.contracts for c in known.claims_of(n)):
        component = next(n for n in known.contracts if any(name == c.name for c in known.claims_of(n)))
        print(_explain_claim(known, component, name))
    else:
        component_of(known, name)
    return 0


def _explaincomponent_of(known: Catalogue, name: str) -> str:
    contract = known.contracts[name]
    lines = [f"{name}: {contract.meaning}", ""]
    for method, signature in contract.calls.items():
        lines.append(f"    {name if method in ('call', 'build') else '  .' + method}{signature}")
    if contract.parts:
        lines += ["", f"made of: {', '.join(contract.parts)}"]
    for variant in contract.variants:
        lines += [
            "",
            f"legal variant {variant.name}: {variant.sentence}",
            f'    declare it: {name} = "{variant.name}" under [tool.plumbline] in pyproject.toml, '
            f"or --impl-variant={name}={variant.name}",
        ]
    lines += ["", "claims:"]
    lines += [f"    {claim.name:<40} {claim.sentence}" for claim in known.claims_of(name)]
    lines += ["", "known mistakes:"]
    lines += [f"    {mistake.name:<40} {mistake.sentence}" for mistake in known.mistakes.get(name, ())]
    lines += ["", *(f"source: {source}" for source in contract.sources)]
    return "\n".join(lines)


def _explain_claim(known: Catalogue, component: str, claim_name: str) -> str:
    claims = {claim.name: claim for claim in known.claims_of(component)}
    if claim_name not in claims:
        raise UsageError(f"{component} has no claim {claim_name!r}; {nearest(claim_name, claims)}")
    claim = claims[claim_name]
    why = inspect.getdoc(claim.test) or inspect.getdoc(inspect.getmodule(claim.test)) or ""
    lines = [f"{component}::{claim.name}: {claim.sentence}.", ""]
    lines += textwrap.wrap(why, 108)
    if claim.false_alarm:
        power = f"; power at least {claim.power}" if claim.power else ""
        lines += ["", f"random: rejects correct code with probability at most {claim.false_alarm:.1g}{power}"]
    if claim.broken_by:
        lines += ["", f"broken by: {component}.{claim.broken_by}"]
    lines += ["", f'run it alone: pytest --impl=mymodel "{component}::{claim.name}"']
    return "\n".join(lines)


def explain_bug(known: Catalogue, name: str) -> str:
    try:
        mistake = known.mistake(name)
    except KeyError as error:
        raise UsageError(str(error.args[0])) from None
    lines = [
        f"{mistake.full_name}",
        "",
        *textwrap.wrap(mistake.sentence, 108),
        "",
        textwrap.indent(mistake.diff(), "    "),
        "",
    ]
    if mistake.seen_in:
        lines.append(f"seen in: {', '.join(mistake.seen_in)}")
    if mistake.looks_like:
        lines.append(f"same numbers as: {', '.join(mistake.looks_like)}")
    if mistake.unnamed_because:
        lines.append(f"the diagnosis cannot name it: {mistake.unnamed_because}")
    if how := how_to_declare(mistake):
        lines += textwrap.wrap(how, 108, break_on_hyphens=False)
    lines.append(f"see it caught: pytest --impl=bug:{mistake.full_name}")
    return "\n".join(lines)


COMMAND = Command(
    "a component (layer_norm), a claim (layer_norm::deterministic) or a known mistake (layer_norm.unbiased_variance)",
    arguments,
    run,
)
