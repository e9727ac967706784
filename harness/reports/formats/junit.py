"""JUnit XML from a record that was kept (a run itself writes one with pytest's own --junitxml)."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from harness.core.verdict import CRASHED, HOLDS, TIMED_OUT, Record, Verdict
from harness.reports.formats._format import Format


def render(record: Record) -> str:
    suites = ElementTree.Element("testsuites", name="plumbline")
    for name in record.order:
        verdicts = record.of(name)
        if not verdicts:
            continue
        broken = [v for v in verdicts if v.failing]
        raised = [v for v in broken if v.status in (CRASHED, TIMED_OUT)]
        suite = ElementTree.SubElement(
            suites, "testsuite", name=name, tests=str(len(verdicts)), failures=str(len(broken) - len(raised)),
            errors=str(len(raised)), skipped=str(sum(not v.failing and v.status != HOLDS for v in verdicts)),
            time=f"{sum(v.seconds for v in verdicts):.3f}",
        )  # fmt: skip
        for verdict in verdicts:
            _case(suite, verdict)
    ElementTree.indent(suites, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _case(suite: ElementTree.Element, v: Verdict) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=v.component, name=v.claim, time=f"{v.seconds:.3f}")
    told = {"status": v.status, "cases": str(v.cases), "finding": ", ".join(v.finding), "replay": v.case_id}
    if v.error is not None:
        told["error_over_tolerance"] = f"{v.error:.6g}"
    properties = ElementTree.SubElement(case, "properties")
    for key, value in told.items():
        if value:
            ElementTree.SubElement(properties, "property", name=key, value=_legal(value))
    if v.failing:
        kind = "error" if v.status in (CRASHED, TIMED_OUT) else "failure"
        text = "\n".join(filter(None, (v.message, v.worst, v.smallest, *v.frames)))
        ElementTree.SubElement(case, kind, message=_legal(" ".join(v.message.split())), type=v.status).text = _legal(text)
    elif v.status != HOLDS:
        ElementTree.SubElement(case, "skipped", message=_legal(f"{v.status}: {v.message}"))


def _legal(text: str) -> str:
    """Without the characters that XML 1.0 has no place for."""
    allowed = (c if c in "\t\n" or 0x20 <= ord(c) <= 0xD7FF or 0xE000 <= ord(c) <= 0xFFFD or ord(c) > 0xFFFF else "?" for c in text)
    return "".join(allowed)


FORMAT = Format("JUnit XML, for any CI", "junit.xml", render)
