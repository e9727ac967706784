"""All claims on one run, and its record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import harness.training.claims
from harness.core.marked_line import Mark, MarkedLine
from harness.core.note import Note, NoteCode
from harness.core.record import Cause, RunRecord, Status, Verdict
from harness.core.registry import scan
from harness.training.claim import Judgement, Topic, TrainingClaim
from harness.training.finding import Level, TrainingFinding
from harness.training.stream import Stream

MEANINGS = {
    Topic.ORDER: "gradients are cleared, computed, clipped and used in this order",
    Topic.COVERAGE: "the optimiser updates every trainable parameter",
    Topic.GRADIENTS: "gradients are those of the loss over the whole step",
    Topic.DATA: "batches, targets and splits",
    Topic.LOSS: "the loss is the cross-entropy of the logits",
    Topic.MODEL: "the model in place, in training and evaluation mode",
    Topic.EVALUATION: "an evaluation changes nothing",
    Topic.RESUME: "a resumed run goes on where it stopped",
}


def claims() -> dict[str, TrainingClaim]:
    """Every claim, by the name of its file in ``harness/training/claims``."""
    return scan(harness.training.claims, "CLAIM", TrainingClaim)


def judge(stream: Stream) -> tuple[list[TrainingFinding], list[Verdict]]:
    """Findings, and a verdict for each claim."""
    findings: list[TrainingFinding] = []
    verdicts = []
    for claim in claims().values():
        try:
            outcome = claim.judge(stream)
        except Exception as error:  # a claim of ours that stumbles over an unusual run says nothing about it
            stream.troubles.append(error)
            verdicts.append(_stumbled(claim, error))
            continue
        found = [replace(each, claim=claim.name) for each in outcome.findings]
        findings += found
        verdicts.append(_verdict(claim, outcome, found))
    return findings, verdicts


def _stumbled(claim: TrainingClaim, error: Exception) -> Verdict:
    why = f"the check itself raised {type(error).__name__}: {error}"
    return Verdict(claim.topic.value, claim.name, claim.sentence, Status.NOT_CHECKED, message=why, cause=Cause.MISFIT)


def _verdict(claim: TrainingClaim, outcome: Judgement, found: Sequence[TrainingFinding]) -> Verdict:
    failed = [each for each in found if each.level is Level.FAILED]
    status = Status.FAILED if failed else Status.PASSED if outcome.judged else Status.NOT_APPLICABLE
    notes = tuple(Note(claim.topic.value, NoteCode.TRAINING, each.message) for each in found if each not in failed)
    message = " ".join(each.message for each in failed)
    return Verdict(
        component=claim.topic.value,
        claim=claim.name,
        sentence=claim.sentence,
        status=status,
        message=message or ("" if outcome.judged else "the run has nothing that this claim is about"),
        explains=bool(failed),
        cases=outcome.judged,
        failed_cases=len(failed),
        cause=Cause.BROKEN_CLAIM if failed else Cause.NONE,
        notes=notes,
        lines=tuple(_marked(each) for each in failed if each.line),
    )


def _marked(finding: TrainingFinding) -> MarkedLine:
    line = finding.line or 0
    return MarkedLine(finding.file, line, finding.end_line or line, text=finding.text, mark=Mark.WRONG)


def record_of(name: str, verdicts: Sequence[Verdict], started: float) -> RunRecord:
    """The record of a run: its topics stand where other runs have components."""
    topics = [topic.value for topic in Topic]
    return RunRecord(
        impl=name,
        seed=0,
        planned={topic: sum(v.component == topic for v in verdicts) for topic in topics},
        order=tuple(topics),
        parts=dict.fromkeys(topics, ()),
        meanings={topic.value: meaning for topic, meaning in MEANINGS.items()},
        verdicts=list(verdicts),
        summaries={},
        started=started,
        seconds=time.time() - started,
        finished=True,
    )
