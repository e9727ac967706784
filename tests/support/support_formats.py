"""What the readers of each face demand of its shape: written from their schemas and documentation, and asserted."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import jsonschema

from harness.core.record import RunRecord, Status
from harness.reports.formats._format import State, counted

TEXT, COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}
STATUSES = ["passed", "failed", "skipped", "pending", "other"]


def closed(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """An object with these properties and no others."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional},
        "additionalProperties": False,
    }


CTRF = closed(
    {
        "reportFormat": {"const": "CTRF"},
        "specVersion": {"type": "string", "pattern": r"^[0-9]+\.[0-9]+\.[0-9]+$"},
        "results": closed(
            {
                "tool": closed({"name": {"type": "string", "minLength": 1}}, version=TEXT, extra={"type": "object"}),
                "summary": closed(dict.fromkeys(("tests", *STATUSES, "start", "stop"), COUNT)),
                "tests": {
                    "type": "array",
                    "items": closed(
                        {"name": {"type": "string", "minLength": 1}, "status": {"enum": STATUSES}, "duration": COUNT},
                        suite={"type": "array", "items": TEXT, "minItems": 1},
                        message=TEXT,
                        trace=TEXT,
                        rawStatus=TEXT,
                        filePath=TEXT,
                        line={"type": "integer", "minimum": 1},
                        tags={"type": "array", "items": TEXT},
                        extra={"type": "object"},
                    ),
                },
            }
        ),
    },
)
"""ctrf-io/ctrf, schema/ctrf.schema.json, as far as we use it."""

GRADESCOPE = closed(
    {
        "output": TEXT,
        "output_format": {"const": "text"},
        "execution_time": {"type": "number", "minimum": 0},
        "stdout_visibility": {"enum": ["hidden", "after_due_date", "after_published", "visible"]},
        "tests": {
            "type": "array",
            "items": closed(
                {
                    "name": TEXT,
                    "number": {"type": "string", "pattern": r"^[0-9.]+$"},
                    "status": {"enum": ["passed", "failed"]},
                    "output": {"type": "string", "minLength": 1},
                    "output_format": {"const": "text"},
                    "tags": {"type": "array", "items": TEXT},
                },
                score={"type": "number", "minimum": 0},
                max_score={"type": "number"},
            ),
        },
    },
)
"""gradescope/autograder_samples, docs/specs.md. Nothing is hidden: with a hidden test students see no score at all."""

PATH = {"type": "string", "pattern": "^(?!\\./).+"}
FROM_1 = {"type": "integer", "minimum": 1}
POINT = closed({"line": FROM_1, "column": FROM_1})
GITLAB = {
    "type": "array",
    "items": closed(
        {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "oneOf": [
                    closed({"path": PATH, "lines": closed({"begin": FROM_1}, end=FROM_1)}),
                    closed({"path": PATH, "positions": closed({"begin": POINT, "end": POINT})}),
                ]
            },
        }
    ),
}
"""docs.gitlab.com/ci/testing/code_quality: paths must be relative to the repository, without ./ before them. A place is
given as lines, or as positions, not as both."""

BADGE = closed(
    {
        "schemaVersion": {"const": 1},
        "label": {"type": "string", "minLength": 1},
        "message": {"type": "string", "minLength": 1},
    },
    color=TEXT,
    isError={"type": "boolean"},
)
"""shields.io/badges/endpoint-badge."""


def strict(text: str) -> Any:
    """JSON as any strict reader takes it: UTF-8, no lone surrogates, no NaN."""

    def refuse(name: str) -> Any:
        raise AssertionError(f"{name} is no JSON")

    text.encode()
    json.dumps(read := json.loads(text, parse_constant=refuse), ensure_ascii=False).encode()
    return read


def check_ctrf(text: str, run: RunRecord) -> None:
    body = strict(text)
    jsonschema.validate(body, CTRF)
    summary, tests = body["results"]["summary"], body["results"]["tests"]
    found = Counter(test["status"] for test in tests)
    assert {name: summary[name] for name in STATUSES} == {name: found[name] for name in STATUSES}
    assert summary["tests"] == len(tests) == len(run.verdicts) and summary["stop"] >= summary["start"]
    assert found["failed"] == sum(v.failing for v in run.verdicts) and found["passed"] == sum(
        v.status == Status.PASSED for v in run.verdicts
    )


def check_gradescope(text: str, run: RunRecord) -> None:
    body = strict(text)
    jsonschema.validate(body, GRADESCOPE)
    scored = [test for test in body["tests"] if "score" in test or "max_score" in test]
    assert all(test["score"] <= test["max_score"] for test in scored)
    assert len(body["tests"]) - len(scored) == counted(run)[Status.NOT_APPLICABLE] + counted(run)[State.EXCUSED]
    numbers = [test["number"] for test in body["tests"]]
    assert len(set(numbers)) == len(numbers) == sum(counted(run).values())


def check_gitlab(text: str, run: RunRecord) -> None:
    issues = strict(text)
    jsonschema.validate(issues, GITLAB)
    assert len({issue["fingerprint"] for issue in issues}) == len(issues)  # of equal ones GitLab shows the first alone
    assert bool(issues) == any(v.failing for v in run.verdicts)


def check_badge(text: str, run: RunRecord) -> None:
    badge = strict(text)
    jsonschema.validate(badge, BADGE)
    assert badge.get("isError", False) == any(v.failing for v in run.verdicts)


SUITE = {
    "name": ".+",
    "tests": r"\d+",
    "failures": r"\d+",
    "errors": r"\d+",
    "skipped": r"\d+",
    "time": r"\d+\.\d+",
    "id": r"\d+",
    "package": ".+",
    "hostname": ".+",
    "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d",
}
CASE = {"name": ".+", "classname": ".+", "time": r"\d+\.\d+"}
WITHIN = {
    "testsuites": ("testsuite",),
    "testsuite": ("testcase",),
    "testcase": ("properties", "skipped", "error", "failure"),
    "properties": ("property",),
}
"""Windy Road's JUnit.xsd of Ant's format; properties of a test case, which it has not, are what pytest writes too."""


def check_junit(text: str, run: RunRecord) -> None:
    assert text.startswith('<?xml version="1.0" encoding="utf-8"?>\n')
    root = ElementTree.fromstring(text.encode())
    assert root.tag == "testsuites"
    for parent in root.iter():
        order = WITHIN.get(parent.tag, ())
        places = [order.index(child.tag) for child in parent]
        assert places == sorted(places), f"{parent.tag} holds {[child.tag for child in parent]}"
    for number, suite in enumerate(root):
        _has(suite, SUITE)
        assert suite.get("id") == str(number)
        for kind, count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert (
                len(list(suite.iter(kind)))
                == int(suite.get(count, "-1"))
                == sum(len(case.findall(kind)) for case in suite)
            )
        assert len(suite) == int(suite.get("tests", "-1"))
    for case in root.iter("testcase"):
        _has(case, CASE)
        assert sum(child.tag != "properties" for child in case) <= 1
        names = [one.get("name") for one in case.iter("property")]
        assert len(set(names)) == len(names) and all(one.get("value") for one in case.iter("property"))
    for told in (*root.iter("failure"), *root.iter("error")):
        assert told.get("type") and told.get("message") is not None
    for count in ("tests", "failures", "errors", "skipped"):
        assert int(root.get(count, "-1")) == sum(int(suite.get(count, "-1")) for suite in root)
    assert int(root.get("tests", "-1")) == len(run.verdicts)


def _has(element: ElementTree.Element, expected: dict[str, str]) -> None:
    assert set(element.attrib) == set(expected)
    for name, form in expected.items():
        assert re.fullmatch(form, element.attrib[name]), f"{element.tag} {name}={element.attrib[name]!r}"


def check_csv(text: str, run: RunRecord) -> None:
    """RFC 4180, one line a row, nothing that a spreadsheet would run, each field within what Excel takes."""
    assert "\r" not in text and "\0" not in text
    rows = list(csv.reader(io.StringIO(text), strict=True))
    assert len(rows) == len(run.verdicts) + 1 == text.count("\n") and {len(row) for row in rows} == {len(rows[0])}
    for value in (value for row in rows for value in row):
        assert len(value) < 32_767
        assert not value.startswith(("=", "+", "@", "\t")) and (not value.startswith("-") or float(value))


def check_benchmarks(text: str, run: RunRecord) -> None:
    """A table of times: the same rules, and a row for every time and what it is set beside."""
    rows = list(csv.reader(io.StringIO(text), strict=True))
    beside = [
        sum((r.contender, r.sizes) == (t.contender, t.sizes) for r in one.ratios)
        for one in run.benchmarks
        for t in one.timings
    ]
    assert len(rows) == sum(max(1, others) for others in beside) + 1 == text.count("\n") and {
        len(row) for row in rows
    } == {len(rows[0])}
    assert not any(value.startswith(("=", "+", "@", "\t")) for row in rows for value in row)


PLACE = r"file=[^:,\r\n]+,line=[1-9]\d*,(?:endLine=[1-9]\d*,|col=[1-9]\d*,endColumn=[1-9]\d*,)?"
COMMAND = re.compile(rf"::error (?:{PLACE})?title=[^:,\r\n]+::[^\r\n]*")


def check_github(text: str, run: RunRecord) -> None:
    lines = text.splitlines()
    assert len(lines) <= 10 and all(COMMAND.fullmatch(line) for line in lines)
    assert bool(lines) == any(v.failing for v in run.verdicts)


def check_markdown(text: str, run: RunRecord) -> None:
    """Fences are closed, rows have the cells of their table, and their words are no markup outside of them."""
    outside, fence = [], ""
    for line in text.splitlines():
        found = re.match(r"`{3,}", line)
        if found and not fence:
            fence = found[0]
        elif fence and line == fence:
            fence = ""
        elif not fence:
            outside.append(line)
    assert not fence and outside[0].startswith("# ")
    bars = [len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0 for line in outside]
    assert all(one == other for one, other in pairwise(bars) if one and other)
    assert not any(re.search(r"(?<!\\)<", re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", line)) for line in outside)
    assert "\x1b" not in text


VOID = {"meta", "br", "wbr", "rect", "path", "circle", "line"}


class Page(HTMLParser):
    """Tags with their attributes, the text, and whether everything that was opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]


def check_html(text: str, run: RunRecord) -> None:
    """The page of a run, with its navigation."""
    assert [tag for tag, _ in checked_page(text).tags].count("nav") == 1


def check_lessons(text: str, run: RunRecord) -> None:
    """The page of the lessons: each that was run has a section of its own."""
    page = checked_page(text)
    named = [attributes.get("id") for attributes in page.of("section")]
    assert named == [lesson.name for lesson in run.lessons]


def checked_page(text: str) -> Page:
    """Whole, nothing loaded or run, links stay on the page, and what a reader without eyes or mouse needs."""
    page = Page(text)
    assert not page.open and text.startswith("<!doctype html>")
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids)) and None not in ids
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "img", "iframe", "object", "embed", "form", "base")
        assert not any(name.startswith("on") or name in ("src", "srcset", "xlink:href") for name in attributes)
        if href := attributes.get("href"):
            assert href.startswith("#") and href[1:] in ids, href
        for named in (attributes.get("aria-labelledby") or "").split():
            assert named in ids
        if attributes.get("tabindex") == "0":
            assert attributes.get("role") == "region" and (
                attributes.get("aria-label") or attributes.get("aria-labelledby")
            )
        if tag == "th":
            assert attributes.get("scope") in ("row", "col")
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or (
                attributes.get("role") == "img" and (attributes.get("aria-label") or attributes.get("aria-labelledby"))
            )
    style = text.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style and "@import" not in style and "http" not in style
    tags = [tag for tag, _ in page.tags]
    assert tags.count("h1") == tags.count("main") == tags.count("header") == tags.count("footer") == 1
    assert page.of("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag in tags if tag in ("h1", "h2", "h3")]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    return page


CHECKS = {
    "ctrf": check_ctrf,
    "gradescope": check_gradescope,
    "gitlab": check_gitlab,
    "badge": check_badge,
    "junit": check_junit,
    "csv": check_csv,
    "github": check_github,
    "markdown": check_markdown,
    "html": check_html,
    "benchmarks": check_benchmarks,
    "lessons": check_lessons,
}
