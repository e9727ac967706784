"""``plumbline explain``: a component, a claim or a known mistake in words."""

from __future__ import annotations

import argparse
import inspect
import textwrap

from harness.commands import _layout as layout
from harness.commands._command import Command, claim_of, component_of
from harness.core.contract import Contract
from harness.core.errors import UsageError
from harness.core.forms import how_to_declare, number_text, table_line
from harness.core.mistake import KnownMistake
from harness.judging.catalogue import Catalogue, load_catalogue
from harness.project.forms import declared_as
from harness.project.variants import declaration_of

DETAILS = """\
examples:
  plumbline explain layer_norm                      a component
  plumbline explain layer_norm::deterministic       a claim
  plumbline explain layer_norm.unbiased_variance    a known mistake
Earlier names of claims and mistakes work too."""
LEGEND = "(- the mistake, + the expected code)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``plumbline explain``."""
    parser.add_argument("name", metavar="NAME", help="COMPONENT, COMPONENT::CLAIM, CLAIM or COMPONENT.MISTAKE")


def run(options: argparse.Namespace) -> int:
    """Print the explanation. Raises UsageError with the nearest names where nothing has this name."""
    known, name = load_catalogue(), options.name
    if "::" in name:
        component, _, claim_name = name.partition("::")
        print(_claim(known, component_of(known, component), claim_name))
    elif name in known.contracts:
        print(_component(known, name))
    elif "." in name:
        print(explain_mistake(known, name))
    elif component := _first_with_claim(known, name):
        print(_claim(known, component, name))
    else:
        component_of(known, name)
    return 0


def _first_with_claim(known: Catalogue, claim_name: str) -> str:
    """The first component that has a claim of this name or earlier name; an empty string where none has."""
    for component in known.contracts:
        if any(claim_name in (claim.name, *claim.aliases) for claim in known.claims_of(component)):
            return component
    return ""


def _component(known: Catalogue, name: str) -> str:
    contract = known.contracts[name]
    lines = [*layout.paragraph(f"{name} - {contract.meaning}"), ""]
    for method, call in contract.calls.items():
        lines += layout.signature(name if method in ("call", "build") else f"  .{method}", call)
    if contract.parts:
        lines += ["", *layout.paragraph(f"made of: {', '.join(contract.parts)}", "", "    ")]
    lines += _forms(contract)
    claims, mistakes = known.claims_of(name), known.mistakes.get(name, ())
    lines += ["", f"{len(claims)} claims (what is checked):"]
    lines += layout.named((claim.name, claim.sentence) for claim in claims)
    if mistakes:
        lines += ["", f"{len(mistakes)} known mistakes (recognised when the output matches):"]
        lines += layout.named((mistake.name, mistake.sentence) for mistake in mistakes)
    if contract.sources:
        lines += ["", "sources:", *(line for one in contract.sources for line in layout.paragraph(one, "    "))]
    return "\n".join(lines)


def _forms(contract: Contract) -> list[str]:
    """The legal forms, axis by axis, each with how it is declared."""
    lines: list[str] = []
    for variant in sorted(contract.variants, key=lambda variant: variant.axis):
        what = f"legal variant {variant.name}: {variant.sentence}"
        what += " This is the form that is judged where none is declared." if variant.is_default else ""
        lines += ["", *layout.paragraph(what, "", "    "), *_how(declared_as(contract.name, variant))]
    for form in contract.numbers:
        example = number_text(form.candidates[0]) if form.candidates else "1"
        what = f"legal variant {form.axis}=NUMBER ({form.allowed}): {form.sentence.format('NUMBER')}"
        lines += ["", *layout.paragraph(what, "", "    "), *_how(f"{form.axis}={example}")]
    return lines


def _how(pair: str) -> list[str]:
    how = f"declare it: {table_line(pair)} under [tool.plumbline] in pyproject.toml, or --impl-variant={pair}"
    return layout.paragraph(how, "    ", "        ")


def _claim(known: Catalogue, component: str, name: str) -> str:
    claim = claim_of(known, component, name)
    full = f"{component}::{claim.name}"
    why = inspect.getdoc(claim.test) or inspect.getdoc(inspect.getmodule(claim.test)) or ""
    lines = _renamed(name, claim.name) + layout.paragraph(f"{full}: {claim.sentence}.")
    lines += ["", *layout.paragraph(" ".join(why.split()))] if why else []
    if claim.false_alarm:
        chance = f"statistical test: it rejects correct code with probability at most {claim.false_alarm:.1g}"
        power = f", and detects wrong code with probability at least {claim.power}" if claim.power else ""
        lines += ["", *layout.paragraph(chance + power)]
    lines += [""]
    if claim.broken_by:
        lines.append(f"a known mistake that it catches: {component}.{claim.broken_by}")
    lines.append(f'run it alone: pytest --impl=mymodel "{full}"')
    return "\n".join(lines)


def explain_mistake(known: Catalogue, name: str) -> str:
    """A known mistake by its full name, in lines. Raises UsageError with the nearest names where there is none."""
    try:
        mistake = known.mistake(name)
    except KeyError as error:
        raise UsageError(str(error.args[0])) from None
    lines = [*_renamed(name, mistake.full_name), f"{mistake.full_name}  {LEGEND}", ""]
    lines += [*layout.paragraph(mistake.sentence), "", textwrap.indent(mistake.diff(), "    "), ""]
    return "\n".join(lines + _details(known, mistake))


def _details(known: Catalogue, mistake: KnownMistake) -> list[str]:
    lines: list[str] = []
    if mistake.seen_in:
        lines += layout.paragraph(f"reported in: {', '.join(mistake.seen_in)}", "", "    ")
    if mistake.looks_like:
        lines += layout.paragraph(f"same output as: {', '.join(mistake.looks_like)}", "", "    ")
    if mistake.unnamed_because:
        lines += layout.paragraph(f"the diagnosis cannot name it: {mistake.unnamed_because}", "", "    ")
    if pair := declaration_of(mistake, known.contracts):
        lines += layout.paragraph(how_to_declare([pair]))
    return [*lines, f"see it caught: pytest --impl=mistake:{mistake.full_name}"]


def _renamed(given: str, name: str) -> list[str]:
    """That a name is an earlier one, and what it is now."""
    return [f"{given} is now called {name}.", ""] if given != name else []


COMMAND = Command("explain a component, a claim or a known mistake", arguments, run, DETAILS)
