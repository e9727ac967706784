"""Requests as packed values, and back."""

from __future__ import annotations

from typing import Any

from harness.core.case import Call, Case
from harness.core.implementation import Request
from harness.core.steps import Replacement, Site
from harness.isolation.packing import Packer
from harness.isolation.unpacking import Unpacker

PLAIN = ("component", "gradients", "mode", "context", "fresh", "weigh", "trace")
"""Fields of a request that JSON takes as they are."""


def packed_request(packer: Packer, request: Request) -> dict[str, Any]:
    """A request as JSON takes it. What a case was chosen for stays with the judge."""
    case = request.case
    calls = [[call.method, call.of, packer.pack(dict(call.arguments))] for call in case.calls]
    return {
        **{name: getattr(request, name) for name in PLAIN},
        "calls": calls,
        "dimensions": dict(case.dimensions),
        "family": case.family,
        "output_part": None if request.output_part is None else list(request.output_part),
        "replacements": [_packed_replacement(packer, one) for one in request.replacements],
    }


def request_of(unpacker: Unpacker, values: dict[str, Any]) -> Request:
    """The request. It comes from the judge: nothing of it is doubted."""
    calls = tuple(Call(method, unpacker.unpack(arguments), of) for method, of, arguments in values["calls"])
    part = values["output_part"]
    return Request(
        case=Case(calls, values["dimensions"], values["family"]),
        output_part=None if part is None else (part[0], part[1], part[2]),
        replacements=tuple(_replacement_of(unpacker, one) for one in values["replacements"]),
        **{name: values[name] for name in PLAIN},
    )


def packed_site(site: Site) -> list[Any]:
    """A site as JSON takes it."""
    return [[list(spot) for spot in site.stack], list(site.inner)]


def _packed_replacement(packer: Packer, one: Replacement) -> dict[str, Any]:
    return {
        "site": packed_site(one.site),
        "result": one.result,
        "values": [packer.pack(value) for value in one.values],
        "order": list(one.order),
        "attached": one.attached,
        "argument": one.argument,
    }


def _replacement_of(unpacker: Unpacker, values: dict[str, Any]) -> Replacement:
    stack, inner = values["site"]
    site = Site(tuple((file, first, offset) for file, first, offset in stack), tuple(inner))
    given = tuple(unpacker.unpack(value) for value in values["values"])
    return Replacement(site, values["result"], given, tuple(values["order"]), values["attached"], values["argument"])
