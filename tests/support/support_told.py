"""What a run tells to declare: the one declaration that its last line prints, from judged claims."""

from __future__ import annotations

from collections.abc import Collection

from harness.core.record import MistakeSummary, RunRecord, Verdict
from harness.judging.inspection import Inspection
from harness.project.variants import declaration_of
from harness.reports.failure import declarations
from harness.reports.groups import groups


def judged_claims(inspection: Inspection, claims: Collection[str]) -> list[Verdict]:
    """The verdicts on these claims of every component that is there."""
    known = inspection.catalogue
    return [
        inspection.judge(component, claim)
        for component in inspection.implementation.components
        for claim in known.claims_of(component)
        if claim.name in claims
    ]


def told(inspection: Inspection, verdicts: list[Verdict]) -> str:
    """What ``--impl-variant`` is to be given, empty where nothing is to be declared."""
    contracts = inspection.catalogue.contracts
    named = {name: m for v in verdicts for name in v.finding if (m := inspection.mistake(name)) is not None}
    summaries = {
        name: MistakeSummary(
            name, m.component, m.sentence, m.diff(), m.seen_in, declaration_of(m, contracts, inspection.eps)
        )
        for name, m in named.items()
    }
    record = RunRecord(
        impl=inspection.implementation.name,
        seed=inspection.seed,
        planned={},
        order=tuple(contracts),
        parts={name: contract.parts for name, contract in contracts.items()},
        meanings={},
        verdicts=verdicts,
        summaries=summaries,
        started=0.0,
        seconds=0.0,
        finished=True,
    )
    return ",".join(declarations(record, groups(record)))
