"""JUnit XML from a record that was kept (a run itself writes one with pytest's own --junitxml)."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from datetime import datetime, timezone

from harness.core.record import RunRecord, Status, Verdict
from harness.reports.formats._format import Format
from harness.reports.marked_lines import fixing_lines, marked_lines

RAISED = (Status.CRASHED, Status.TIMED_OUT)


def render(record: RunRecord) -> str:
    suites = ElementTree.Element("testsuites", name="plumbline")
    when = datetime.fromtimestamp(record.started, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    for name in filter(record.of, record.order):
        verdicts = record.of(name)
        about = {
            "name": name,
            "id": str(len(suites)),
            "package": "plumbline",
            "hostname": "localhost",
            "timestamp": when,
        }
        suite = ElementTree.SubElement(suites, "testsuite", {**about, **_counts(verdicts)})
        for verdict in verdicts:
            _case(suite, verdict)
    suites.attrib |= _counts([v for name in record.order for v in record.of(name)])
    ElementTree.indent(suites, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _counts(verdicts: list[Verdict]) -> dict[str, str]:
    broken = [v for v in verdicts if v.failing]
    raised = [v for v in broken if v.status in RAISED]
    skipped = sum(not v.failing and v.status != Status.PASSED for v in verdicts)
    counts = {"tests": len(verdicts), "failures": len(broken) - len(raised), "errors": len(raised), "skipped": skipped}
    return {**{name: str(count) for name, count in counts.items()}, "time": f"{sum(v.seconds for v in verdicts):.3f}"}


def _case(suite: ElementTree.Element, v: Verdict) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=v.component, name=v.claim, time=f"{v.seconds:.3f}")
    told = {
        "status": v.status,
        "cause": v.cause,
        "cases": str(v.cases),
        "finding": ", ".join(v.finding),
        "replay": v.case_id,
        "lines": ", ".join(f"{line.file}:{line.line}" for line in v.lines),
    }
    if v.error is not None:
        told["error_over_tolerance"] = f"{v.error:.6g}"
    properties = ElementTree.SubElement(case, "properties")
    for key, value in told.items():
        if value:
            ElementTree.SubElement(properties, "property", name=key, value=value)
    if v.failing:
        kind = "error" if v.status in RAISED else "failure"
        text = "\n".join(filter(None, (v.message, v.worst, v.smallest, *v.frames, *marked_lines(v), *fixing_lines(v))))
        ElementTree.SubElement(case, kind, message=" ".join(v.message.split()), type=v.status).text = text
    elif v.status != Status.PASSED:
        ElementTree.SubElement(case, "skipped", message=": ".join(filter(None, (v.status, v.message, v.excused))))


FORMAT = Format("JUnit XML, for any CI", "junit.xml", render)
