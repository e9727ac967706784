"""The page: whole in one file, every link leads somewhere, nobody's words become markup, and what it says is the record's."""

from dataclasses import replace
from html.parser import HTMLParser

from support_records import BUSY, EMPTY, FINE, NASTY, record, verdict

from harness.reports.formats._drawing import dependencies
from harness.reports.writing import formats

VOID = {"meta", "br", "rect", "line", "link"}


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
        assert self.open and self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data


def page(run) -> Page:
    return Page(formats()["html"].render(run))


def test_it_is_whole_and_every_link_leads_somewhere() -> None:
    """Nothing is loaded, no script runs, names are unique, links stay on the page."""
    for run in (BUSY, FINE, EMPTY):
        found = page(run)
        assert not found.open
        ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        for tag, attributes in found.tags:
            assert tag not in ("script", "link", "img", "iframe") and "src" not in attributes
            assert not any(name.startswith("on") for name in attributes)
            if href := attributes.get("href"):
                assert href.startswith("#") and href[1:] in ids
            for named in (attributes.get("aria-labelledby") or "").split():
                assert named in ids
        assert [tag for tag, _ in found.tags].count("h1") == 1


def test_their_words_are_text() -> None:
    """A message with markup in it is shown, not obeyed."""
    found = page(BUSY)
    assert "script" not in [tag for tag, _ in found.tags]
    assert NASTY.split("\x07")[0].strip() in " ".join(found.text.split())


def test_it_says_what_the_record_says() -> None:
    """Verdict, finding with both lines, evidence, facts, how to see it again, the trust line."""
    text = " ".join(page(BUSY).text.split())
    for said in (
        "2 of 2 components are wrong", "part.slip", "You slipped: 100%, really.", "- right", "+ wrong", "src/mine.py:7",
        "plumbline replay abcd", "holds 96 bytes", "96", "pytest --impl=mine --impl-seed=3", "checks planned",
    ):  # fmt: skip
        assert said in text, said
    assert "What is wrong" not in page(FINE).text and "All 2 components that are there hold" in page(FINE).text


def test_color_is_never_alone() -> None:
    """Every cell of the matrix has a sign and words for who does not see colors."""
    cells = [attributes for tag, attributes in page(BUSY).tags if tag == "a" and "title" in attributes]
    assert len(cells) == len(BUSY.verdicts)
    assert {cell["aria-label"].rpartition(": ")[2] for cell in cells} == {"wrong", "holds", "not offered", "to do"}


def test_errors_are_drawn_as_a_map() -> None:
    """Darker by decades, the number in words; what is within the tolerance is blank."""
    hot = replace(verdict("part", "agrees", "violated", violated=1, message="off"), heat=((0.5, 3.0), (2e5, 1e30)))
    cells = [attributes for tag, attributes in page(record(hot)).tags if tag == "td" and "--shade" in (attributes.get("style") or "")]
    assert [cell["style"] for cell in cells] == ["--shade:0", "--shade:1", "--shade:6", "--shade:9"]
    assert cells[2]["title"] == "2e+05 x the tolerance"


def test_composites_stand_above_their_parts() -> None:
    """Lines lead down; what has no part and is none is left out; nothing overlaps."""
    states = dict.fromkeys(("a", "b", "whole", "alone"), "holds")
    drawing = dependencies(("a", "b", "whole", "alone"), {"whole": ("a", "b", "missing")}, states)
    assert drawing is not None
    places = {box.name: box for box in drawing.boxes}
    assert set(places) == {"a", "b", "whole"} and len(drawing.lines) == 2
    assert places["whole"].y < places["a"].y == places["b"].y and abs(places["a"].x - places["b"].x) >= drawing.box
    assert all(box.x >= 0 and box.x + drawing.box <= drawing.width and box.y + drawing.high <= drawing.height for box in drawing.boxes)
    assert dependencies(("alone",), {}, {"alone": "holds"}) is None
