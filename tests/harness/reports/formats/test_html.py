"""The page: whole in one file, every link leads somewhere, nobody's words become markup, and what it says is the
record's."""

import re
import shlex
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from support_formats import Page
from support_records import BUSY, FINE, NASTY, record, verdict

from harness.core.claim import About
from harness.core.measurement import Measurement
from harness.core.record import Status
from harness.reports.formats._drawing import dependencies
from harness.reports.formats._plots import DEEP, SHADES, bars, plot
from harness.reports.writing import formats


def page(run) -> Page:
    return Page(formats()["html"].render(run))


def test_their_words_are_text() -> None:
    """A message with markup in it is shown, not obeyed."""
    found = page(BUSY)
    assert "script" not in [tag for tag, _ in found.tags]
    assert NASTY.split("\x07")[0].strip() in " ".join(found.text.split())


def test_it_says_what_the_record_says() -> None:
    """Verdict, finding with both lines, evidence, facts, how to see it again, the trust line."""
    text = " ".join(page(BUSY).text.split())
    for said in (
        "2 of 2 components failed (2 checks failed).",
        "part.slip",
        "You slipped: 100%, really.",
        "- wrong",
        "+ right",
        "src/mine.py:7",
        "plumbline replay abcd",
        "holds 96 bytes",
        "96",
        "pytest --impl=mine --impl-seed=3",
        "2 of 4 components implemented: 3 checks run",
    ):
        assert said in text, said
    assert "Findings" not in page(FINE).text and "All 2 implemented components passed" in page(FINE).text


def test_color_is_never_alone() -> None:
    """Every cell of the matrix has a sign and words for who does not see colors."""
    cells = [attributes for tag, attributes in page(BUSY).tags if tag == "a" and "title" in attributes]
    shared = [v for v in BUSY.verdicts if v.claim == "agrees" and v.component in ("part", "other")]
    assert [cell["aria-label"] for cell in cells] == [f"{v.component}, agrees: failed" for v in shared]
    states = [a["class"] for tag, a in page(BUSY).tags if tag == "span" and (a.get("class") or "").startswith("state ")]
    assert {"state failed", "state passed", "state not-applicable", "state to-do"} <= set(states)


def test_errors_are_drawn_as_a_map() -> None:
    """Darker by decades, the number in words; what is within the tolerance is blank."""
    hot = replace(
        verdict("part", "agrees", Status.FAILED, failed_cases=1, message="off"), error_map=((0.5, 3.0), (2e5, 1e30))
    )
    cells = [
        attributes
        for tag, attributes in page(record(hot)).tags
        if tag == "td" and "--shade" in (attributes.get("style") or "")
    ]
    assert [cell["style"] for cell in cells] == ["--shade:0", "--shade:1", "--shade:6", "--shade:10"]
    assert "2e5" in page(record(hot)).text and "in units of its tolerance" in page(record(hot)).text


def test_composites_stand_above_their_parts() -> None:
    """Lines lead down; what has no part and is none is left out; nothing overlaps; what hangs together is one
    drawing."""
    names = ("a", "b", "middle", "whole", "alone", "top", "foot")
    parts = {"whole": ("a", "middle", "missing"), "middle": ("b",), "top": ("foot",)}
    first, second = dependencies(names, parts, dict.fromkeys(names, Status.PASSED))
    places = {box.name: box for box in first.boxes}
    assert set(places) == {"a", "b", "middle", "whole"} and {box.name for box in second.boxes} == {"top", "foot"}
    assert [(whole, part) for whole, part, _ in first.lines] == [("middle", "b"), ("whole", "a"), ("whole", "middle")]
    assert all(places[whole].y < places[part].y for whole, part, _ in first.lines)
    for drawing in (first, second):
        assert all(
            box.x >= 0 and box.x + box.width <= drawing.width and box.y + drawing.high <= drawing.height
            for box in drawing.boxes
        )
        for one, other in combinations(drawing.boxes, 2):
            assert one.y != other.y or one.x + one.width < other.x or other.x + other.width < one.x
    assert dependencies(("alone",), {}, {"alone": Status.PASSED}) == []


def test_a_line_that_passes_a_layer_passes_between_its_boxes() -> None:
    """gpt2 has its own norm below the block's layer: the line has a place of its own there."""
    names = ("norm", "middle", "whole")
    (drawing,) = dependencies(
        names, {"middle": ("norm",), "whole": ("middle", "norm")}, dict.fromkeys(names, Status.PASSED)
    )
    middle = next(box for box in drawing.boxes if box.name == "middle")
    path = next(path for whole, part, path in drawing.lines if (whole, part) == ("whole", "norm"))
    passing = [int(x) for x, y in re.findall(r" (\d+) (\d+)V", path)]
    assert len(passing) == 1 and not middle.x <= passing[0] <= middle.x + middle.width


def test_a_finding_is_drawn_upwards() -> None:
    """The line from what carries it to what is wrong is another one, and both boxes say what they are."""
    wrong = {"status": Status.FAILED, "failed_cases": 1, "finding": ("part.slip",)}
    text = formats()["html"].render(
        record(verdict("part", "agrees", **wrong), verdict("other", "agrees"), verdict("whole", "agrees", **wrong))
    )
    lines = [a["class"] for a in Page(text).of("path") if a.get("class") in ("carries", "made")]
    assert sorted(lines) == ["carries", "made"] and "1 finding" in text and "from its parts" in text
    assert "part.slip also explains whole" in " ".join(Page(text).text.split())


def test_gradients_have_a_section_of_their_own() -> None:
    """Which of the three questions fails where, with the worst element, its finding and how far it is off."""
    run = record(
        verdict("part", "every_argument_receives_a_gradient", about=(About.FORM, About.GRADIENT)),
        verdict(
            "part",
            "gradients_agree",
            Status.FAILED,
            about=(About.GRADIENT, About.NUMBERS),
            failed_cases=2,
            excess=3e4,
            worst="the gradient of x[0] = 1, expected 2",
            finding=("part.slip",),
        ),
        verdict(
            "part", "gradients_agree_with_finite_differences", error=0.25, about=(About.CONSISTENCY, About.GRADIENT)
        ),
        verdict("other", "agrees"),
    )
    text = " ".join(Page(formats()["html"].render(run)).text.split())
    section = text.partition("Each trainable component has three checks")[2].partition("All checks")[0]
    assert (
        "the gradient of x[0] = 1, expected 2 (part.slip)" in section
        and "error: 3e4 times the tolerance" in section
        and "25 % of the tolerance" in section
    )
    assert "other" not in section and 'id="gradients"' not in formats()["html"].render(FINE)


def test_every_line_can_be_judged_again() -> None:
    """The whole run, each check, the smallest case of each finding: commands that a shell takes as they are."""
    text = formats()["html"].render(replace(BUSY, impl="my model.py", variants={"part": "odd"}))
    run = "pytest '--impl=my model.py' --impl-seed=3 --impl-variant=part=odd"
    found = Page(text).text
    assert (
        f"{run} part::grows" in found
        and f'{run} -k "part and agrees"' in found
        and "plumbline replay abcd    # part.slip" in found
    )
    assert shlex.split(run)[1] == "--impl=my model.py"


def test_maps_stand_side_by_side() -> None:
    """Both of a pair in one figure, shaded alike; every number is written in its cell."""
    grids = {
        f"{whose}, {which}": [[0.0, scale], [0.25, 1.0]]
        for which in ("one", "two")
        for whose, scale in (("yours", 0.5), ("theirs", 0.75))
    }
    run = replace(FINE, measurements=[Measurement("maps", "made up", 0.25, "", {}, "part", "maps", grids)])
    found = Page(formats()["html"].render(run))
    assert len(found.of("figure")) == 2 and len([a for a in found.of("table") if a.get("class") == "grid share"]) == 4
    cells = [a["style"] for a in found.of("td") if "--shade" in (a.get("style") or "")]
    assert cells[:8] == [f"--shade:{n}" for n in (0, 5, 3, 10, 0, 8, 3, 10)] and ".75" in found.text
    assert [a.get("class") for a in found.of("td") if "--shade:8" in (a.get("style") or "")] == ["deep", "deep"]


@pytest.mark.parametrize(
    ("series", "lines", "scales"),
    [
        ({f"rank {n}": 1.0 / n for n in (1, 2, 4, 8, 64)}, ["rank ..."], "Both axes"),
        ({f"{n:,} tokens": 0.5 + n / 1e6 for n in (256, 8192, 50257)}, ["... tokens"], "The horizontal axis"),
        ({f"{which}, T = {n}": n for which in "qk" for n in (1, 2, 3)}, ["q, T = ...", "k, T = ..."], ""),
        (
            {"scale at rank 1, alpha 16": 16.0, "scale at rank 2, alpha 16": 8.0, "scale at rank 4, alpha 16": 0.0},
            ["scale at rank ..., alpha 16"],
            "",
        ),
        ({"English": 1.0, "German": 2.0, "French": 3.0}, [], ""),
        ({"GPT-2 small": 1.0, "GPT-3 13B": 2.0, "GPT-3 175B": 3.0}, [], ""),
        ({"rank 1": 1.0, "rank 2": 2.0}, [], ""),
        ({"rank 1": 1.0, "rank 2": float("nan"), "rank 3": 1.0}, [], ""),
        ({"rank 1": 1.0, "rank 2": 1.0, "rank 3": 1.0}, ["rank ..."], ""),
        ({}, [], ""),
    ],
)
def test_numbers_that_count_are_lines(series, lines, scales) -> None:
    """Where the labels are the same words around one number that grows; bars otherwise."""
    drawn = plot(series)
    assert [line.name for line in drawn.lines] == lines if drawn else not lines
    if drawn:
        assert drawn.scales.startswith(scales) and bool(drawn.scales) == bool(scales)
        for x, y in (point for line in drawn.lines for point in line.points):
            assert drawn.left < x < drawn.right and drawn.top < y < drawn.bottom


def test_bars_begin_at_zero_and_say_their_numbers() -> None:
    """As shares of the longest; what is not finite has none."""
    found = bars({"a": 17664.0, "b": 0.123456, "c": -8832.0, "d": float("inf"), "e": float("nan")})
    assert [(bar["value"], bar["share"]) for bar in found] == [
        ("17,664", 100),
        ("0.1235", 0),
        ("-8,832", 50),
        ("inf", 0),
        ("nan", 0),
    ]


def test_a_power_is_a_straight_line() -> None:
    """On logarithmic axes equal ratios are equal distances."""
    drawn = plot({f"rank {n}": n**-1.5 for n in (1, 4, 16, 64)})
    assert drawn is not None
    (xs, ys) = zip(*drawn.lines[0].points, strict=True)
    steps = [(b - a, d - c) for a, b, c, d in zip(xs, xs[1:], ys, ys[1:], strict=False)]
    assert all(step == pytest.approx(steps[0], abs=0.2) for step in steps)


# colours -------------------------------------------------------------------------------------------------------------

STYLE = (Path(__file__).parents[4] / "harness" / "reports" / "formats" / "_style.css.jinja").read_text(encoding="utf-8")
ON = [
    ("ink", "paper"),
    ("ink", "card"),
    ("ink", "well"),
    ("soft", "paper"),
    ("soft", "card"),
    ("soft", "well"),
    *[(name, f"{name}-bg") for name in ("good", "bad", "wait", "idle")],
    ("bad", "paper"),
    ("good", "paper"),
]


def colours(mode: str) -> dict[str, tuple[float, ...]]:
    """The variables of a mode, from 0 to 1."""
    light, dark = (
        re.search(start + r".*?:root \{(.*?)\}", STYLE, re.S) for start in ("^", "prefers-color-scheme: dark")
    )
    found: dict[str, str] = {}
    for block in (light, dark) if mode == "dark" else (light,):
        assert block is not None
        found |= dict(re.findall(r"--([a-z-]+): #([0-9a-f]{6})", block[1]))
    return {name: tuple(int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)) for name, code in found.items()}


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """WCAG 2.2, relative luminance."""

    def luminance(colour: tuple[float, ...]) -> float:
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_all_text_can_be_read(mode) -> None:
    """4.5 to 1 at least for every pair of colours in use, and for the numbers on each of a map's shades."""
    known = colours(mode)
    for text, back in ON:
        assert contrast(known[text], known[back]) >= 4.5, (text, back)
    for hot in ("hot", "off"):
        for shade in range(SHADES + 1):
            back = tuple(
                shade / SHADES * h + (1 - shade / SHADES) * c for h, c in zip(known[hot], known["card"], strict=True)
            )
            assert contrast(known["on-deep" if shade >= DEEP else "on-shade"], back) >= 4.5, (hot, shade)


def test_the_measure_of_contrast_is_the_standard_one() -> None:
    """Black on white is 21, and #767676 on white just enough."""
    assert contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)
    assert contrast((0x76 / 255,) * 3, (1, 1, 1)) == pytest.approx(4.54, abs=0.01)


def test_focus_motion_and_paper_are_thought_of() -> None:
    """A visible focus, no motion for who wants none, a form to be printed."""
    assert ":focus-visible { outline: 3px" in STYLE and "outline: none" not in STYLE.replace(
        "main:focus { outline: none; }", ""
    )
    assert STYLE.count("scroll-behavior") == 1 and "prefers-reduced-motion: no-preference" in STYLE
    assert "@media print" in STYLE and "forced-colors" in STYLE
