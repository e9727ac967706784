"""Rewording changes no result: with every name, sentence and message replaced by gibberish, all else stays."""

import hashlib
from dataclasses import replace

import pytest
import torch

from harness.core.claim import Claim, NotSupported, Violation
from harness.core.contract import Contract
from harness.core.implementation import Effect
from harness.core.mistake import KnownMistake
from harness.core.note import NoteCode
from harness.core.record import MistakeSummary, RunRecord, Status
from harness.core.result_form import WrongKind
from harness.execution import case_arguments, environment, gradients
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging import trial
from harness.judging.catalogue import Catalogue, load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.judge import Bench
from harness.reports.formats._format import counted, status_of
from harness.reports.groups import groups
from harness.reports.table import gradients as gradients_column
from harness.reports.table import table

KNOWN = load_catalogue()


def layer_norm(x, weight, bias, eps):
    y = (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True) + eps) * weight
    return y if bias is None else y + bias


def gelu(x):
    """No known mistake."""
    return x * torch.sigmoid(1.5 * x) + 0.01


def softmax(x, dim):
    """Its numbers are right; it writes to its argument and moves the random generator."""
    y = torch.softmax(x, dim)
    torch.rand(1)
    with torch.no_grad():
        x.add_(1.0)
    return y


def rms_norm(x, weight, eps):
    """It forgets to return."""
    y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    y *= weight


def token_embedding(ids, weight):
    return weight.detach()[ids]


def swiglu(x, gate_weight, up_weight, down_weight):
    """It computes in float32, which is a note."""
    value, gate, up, down = (t.float() for t in (x, gate_weight, up_weight, down_weight))
    return ((torch.nn.functional.silu(value @ gate.T) * (value @ up.T)) @ down.T).to(x.dtype)


def linear(x, weight, bias):
    raise NotImplementedError


FUNCTIONS = {f.__name__: f for f in (layer_norm, gelu, softmax, rms_norm, token_embedding, swiglu, linear)}


def gibberish(words: str) -> str:
    return "".join("bcdfghjklmnpqrst"[int(digit, 16)] for digit in hashlib.sha1(words.encode()).hexdigest()[:12])


def translated_claim(claim: Claim) -> Claim:
    def test(one, *arguments):
        try:
            claim.test(one, *arguments)
        except Violation as violation:
            violation.message, violation.worst = gibberish(violation.message), gibberish(violation.worst)
            violation.args = (violation.message,)
            raise
        except NotSupported as reason:
            raise NotSupported(gibberish(str(reason))) from None

    return replace(claim, name=gibberish(claim.name), sentence=gibberish(claim.sentence), test=test, aliases=())


def translated_mistake(mistake: KnownMistake) -> KnownMistake:
    looks_like = tuple(map(gibberish, mistake.looks_like))
    return replace(mistake, name=gibberish(mistake.name), sentence=gibberish(mistake.sentence), looks_like=looks_like)


def translated(known: Catalogue) -> Catalogue:
    def contract(one: Contract) -> Contract:
        return replace(one, meaning=gibberish(one.meaning), claims=tuple(map(translated_claim, one.claims)))

    claims = [translated_claim(claim) for claim in known.claims.values()]
    return Catalogue(
        {name: contract(one) for name, one in known.contracts.items()},
        {claim.name: claim for claim in claims},
        {name: tuple(map(translated_mistake, group)) for name, group in known.mistakes.items()},
    )


def judged(known: Catalogue) -> RunRecord:
    adapters = {name: FunctionAdapter(function) for name, function in FUNCTIONS.items()}
    inspection = Inspection(known, Executor("mine", adapters, known.contracts), seed=5, cases=3)
    order = tuple(FUNCTIONS)
    verdicts = [inspection.judge(name, claim) for name in order for claim in known.claims_of(name)]
    found = {name for verdict in verdicts for name in verdict.finding}
    summaries = {
        m.full_name: MistakeSummary(m.full_name, m.component, m.sentence, m.diff())
        for m in inspection.known().values()
        if m.full_name in found
    }
    planned = {name: len(known.claims_of(name)) for name in order}
    return RunRecord("mine", 5, planned, order, {}, {}, verdicts, summaries, finished=True)


def columns(record: RunRecord) -> list[tuple[str, str]]:
    """Component and gradients of every row."""
    rows = dict.fromkeys(line.component for line in table(record) if line.component)
    return [(name, gradients_column(record.of(name))) for name in rows]


def statuses_of_rows(record: RunRecord) -> dict[str, Status | None]:
    return {line.component: line.status for line in table(record)}


@pytest.fixture(scope="module")
def records():
    plain = judged(KNOWN)
    with pytest.MonkeyPatch.context() as patch:
        for module in (case_arguments, environment, gradients):
            patch.setattr(
                module, "Effect", lambda kind, words, *rest, **more: Effect(kind, gibberish(words), *rest, **more)
            )
        wrong_kind = trial.wrong_kind

        def in_gibberish(*arguments):
            odd = wrong_kind(*arguments)
            return odd and WrongKind(odd.returned, gibberish(odd.message))

        patch.setattr(trial, "wrong_kind", in_gibberish)
        note = Bench.note
        patch.setattr(Bench, "note", lambda bench, contract, code, text: note(bench, contract, code, gibberish(text)))
        return plain, judged(translated(KNOWN))


def test_the_plain_record_has_something_of_everything(records) -> None:
    """Otherwise the comparison would say little."""
    plain, _ = records
    statuses = {Status.PASSED, Status.FAILED, Status.TO_DO, Status.NOT_APPLICABLE, Status.ADVICE}
    assert {v.status for v in plain.verdicts} == statuses
    assert "layer_norm.unbiased_variance" in plain.summaries and any(v.returned for v in plain.verdicts)
    assert {note.code for v in plain.verdicts for note in v.notes} == {NoteCode.PRECISION}
    assert {word for _, word in columns(plain)} >= {"FAILED", "passed"}


def test_statuses_stay(records) -> None:
    plain, odd = records
    for one, other in zip(plain.verdicts, odd.verdicts, strict=True):
        assert other.claim == gibberish(one.claim)
        same = ("component", "status", "about", "failed_cases", "cases", "returned", "explains", "where", "line")
        assert [getattr(other, name) for name in same] == [getattr(one, name) for name in same], one.claim
        assert [(n.component, n.code) for n in other.notes] == [(n.component, n.code) for n in one.notes], one.claim
        assert [n.text for n in other.notes] == [gibberish(n.text) for n in one.notes]


def test_findings_stay(records) -> None:
    plain, odd = records
    for one, other in zip(plain.verdicts, odd.verdicts, strict=True):
        names = [name.partition(".") for name in one.finding]
        assert list(other.finding) == [f"{component}.{gibberish(name)}" for component, _, name in names], one.claim


def test_columns_groups_and_the_outcome_stay(records) -> None:
    plain, odd = records
    assert columns(odd) == columns(plain) and counted(odd) == counted(plain)
    assert [status_of(odd, name) for name in odd.order] == [status_of(plain, name) for name in plain.order]
    assert statuses_of_rows(odd) == statuses_of_rows(plain)
    sizes = [[(g.head.component, g.home, len(g.rest), len(g.names)) for g in groups(r)] for r in (plain, odd)]
    assert sizes[0] == sizes[1]
    assert sum(v.failing for v in odd.verdicts) == sum(v.failing for v in plain.verdicts) > 5
