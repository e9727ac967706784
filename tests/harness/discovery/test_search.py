"""What a module, a file or an object offers, and what is said where it offers nothing or something unknown."""

from __future__ import annotations

import sys

import pytest
from hypothesis import strategies as st

from harness.core.case import Case
from harness.core.contract import Argument, Contract, Signature, Variant
from harness.core.errors import UsageError
from harness.core.implementation import OfferKind
from harness.core.note import NoteCode
from harness.discovery.search import discover


def contract(
    name: str, *arguments: Argument, variants: tuple[str, ...] = (), **methods: tuple[Argument, ...]
) -> Contract:
    calls = {m: Signature(a, "float[...]") for m, a in methods.items()} or {"call": Signature(arguments, "float[...]")}
    legal = tuple(Variant(v, v, ()) for v in variants)
    return Contract(name, name, calls, reference=lambda x: x, cases=lambda: st.just(Case.of({})), variants=legal)


X = Argument("x", "float[batch, width]")
WEIGHT = Argument("weight", "float[width]", "parameter", aliases=("weight", "gain"))
CONTRACTS = {
    "double": contract("double", X, variants=("triple",)),
    "linear_map": contract("linear_map", X, WEIGHT),
    "counter": contract("counter", build=(Argument("start", "int", "setting"),), step=(Argument("by", "int"),)),
}
USE = "import torch\nfrom torch import nn\nfrom plumbline import implements\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current directory; modules that a test imports from it are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")) or name.startswith("_plumbline_"):
            del sys.modules[name]


@pytest.fixture
def find(here):
    """Write a file and discover it (or an object in it)."""

    def write_and_find(source: str, thing: str = "", name: str = "student.py"):
        (here / name).write_text(source)
        return discover(f"./{name}{':' + thing if thing else ''}", CONTRACTS)

    return write_and_find


def refusal(find, *args) -> str:
    with pytest.raises(UsageError) as caught:
        find(*args)
    return str(caught.value)


# what is found -------------------------------------------------------------------------------------------------------


def test_a_function_of_a_components_name_is_enough(find):
    """Nothing else to write."""
    found = find("def double(x): return 2 * x\n")
    assert set(found.adapters) == {"double"} and found.adapters["double"].kind is OfferKind.FUNCTION


def test_a_function_imported_from_their_own_file_counts(find, here):
    """An adapter may be a line of imports, also in several steps."""
    (here / "mine_alone.py").write_text("def double(x): return x\n")
    (here / "mine_passed_on.py").write_text("from mine_alone import double\n")
    assert "double" in find("from mine_passed_on import double\n").adapters


@pytest.mark.parametrize(
    "source",
    [
        "from operator import neg as double\n",
        "import torch.utils.checkpoint as double\n",
        "try:\n    from torch.nn.functional import softmax as double\nexcept ImportError:\n    pass\n",
        "double = 3\nfrom operator import neg as double\n",
        "from mine_passing_on import *\n",
    ],
)
def test_what_is_imported_from_another_distribution_is_not_theirs(find, here, source):
    """Nobody wrote it here. It is noted, since it may be meant."""
    (here / "mine_passing_on.py").write_text("from operator import neg as double\n")
    found = find(source + "def counter(start): ...\n")
    assert set(found.adapters) == {"counter"}
    assert [note.text.partition(",")[0] for note in found.notes] == ["double is imported from another package"]


@pytest.mark.parametrize(
    "source",
    [
        "import operator\ndouble = operator.neg\n",
        "from operator import neg\ndouble = neg\n",
        "from operator import neg as double\ndef double(x): ...\n",
        "import operator\nglobals()['double'] = operator.neg\n",
        "from mine_assigning import double\n",
    ],
)
def test_what_they_assign_is_a_statement_of_theirs(find, here, source):
    """One line says that a library's function is meant."""
    (here / "mine_assigning.py").write_text("import operator\ndouble = operator.neg\n")
    assert "double" in find(source).adapters


def test_an_imported_function_that_is_named_counts(find):
    """``file.py:double`` says what is meant."""
    assert "double" in find("from operator import neg as double\n", "double").adapters


def test_a_class_of_a_scripted_components_name_is_found(find):
    """Its methods are the calls of the script."""
    found = find("class counter:\n    def __init__(self, start): ...\n")
    assert found.adapters["counter"].kind is OfferKind.CLASS


def test_a_function_that_builds_a_scripted_component_is_found(find):
    """A factory does as well as a class."""
    assert "counter" in find("def counter(start): return start\n").adapters


def test_a_factory_of_modules_is_found(find):
    """@implements above a factory."""
    found = find(USE + "@implements('linear_map')\ndef build(config): return nn.Linear(2, 2)\n")
    assert type(found.adapters["linear_map"]).__name__ == "ModuleAdapter"


def test_two_factories_of_one_name_are_both_found(find):
    """People write ``def build`` twice; the first is hidden in the module, not lost."""
    two = "@implements('double')\ndef build(config): ...\n@implements('linear_map')\ndef build(config): ...\n"
    assert set(find(USE + two).adapters) == {"double", "linear_map"}


def test_a_decorated_function_with_the_contracts_arguments_is_taken_as_it_is(find):
    """@implements above the component itself, under another name."""
    found = find(USE + "@implements('linear_map')\ndef mine(x, weight): return x * weight\n")
    assert found.adapters["linear_map"].kind is OfferKind.FUNCTION


def test_a_decorated_function_may_lack_what_is_optional(here):
    """A bias, a generator: it is the component all the same; what lacks more builds something."""
    bias = Argument("bias", "float[width]", "parameter", optional=True)
    contracts = {"shift": contract("shift", X, WEIGHT, bias)}
    for source, kind in (
        ("mine(x, weight)", OfferKind.FUNCTION),
        ("mine(x, weight, bias)", OfferKind.FUNCTION),
        ("mine(x)", OfferKind.MODULE),
    ):
        (here / "student.py").write_text(USE + f"@implements('shift')\ndef {source}: ...\n")
        assert discover("./student.py", contracts).adapters["shift"].kind is kind


def test_declarations_in_a_submodule_count(here):
    """A package may keep its adapters in a file of their own."""
    (here / "packed").mkdir()
    (here / "packed" / "__init__.py").write_text("from . import adapters\n")
    (here / "packed" / "adapters.py").write_text(USE + "@implements('linear_map')\ndef build(config): ...\n")
    assert "linear_map" in discover("packed", CONTRACTS).adapters


def test_declarations_of_another_module_do_not_count(here):
    """Importing somebody's module for a helper does not take over what it offers."""
    (here / "others.py").write_text(USE + "@implements('linear_map')\ndef build(config): ...\n")
    (here / "mine_too.py").write_text("import others\ndef double(x): return x\n")
    assert set(discover("mine_too", CONTRACTS).adapters) == {"double"}


def test_a_submodule_of_a_components_name_is_looked_into(here):
    """A package with one file per component."""
    (here / "filed").mkdir()
    (here / "filed" / "__init__.py").write_text("from . import double\n")
    (here / "filed" / "double.py").write_text("def double(x): return x\n")
    assert "double" in discover("filed", CONTRACTS).adapters


@pytest.mark.parametrize(
    "source",
    [
        "from types import SimpleNamespace\nthing = SimpleNamespace(double=lambda x: x)\n",
        "thing = {'double': lambda x: x}\n",
        "class Mine:\n    def double(self, x): return x\nthing = Mine()\n",
        "class thing:\n    @staticmethod\n    def double(x): return x\n",
    ],
    ids=["namespace", "dictionary", "instance", "class"],
)
def test_an_object_that_holds_components_is_looked_into(find, source):
    """Whatever has attributes, or entries, of the components' names."""
    assert set(find(source, "thing").adapters) == {"double"}


def test_a_single_factory_is_found_alone(find):
    """``file.py:build`` is that factory and nothing else of the file."""
    source = USE + "def double(x): return x\n@implements('linear_map')\ndef build(config): ...\n"
    assert set(find(source, "build").adapters) == {"linear_map"}


def test_a_single_function_is_found_alone(find):
    """``file.py:double`` is that component."""
    assert set(find("def double(x): return x\ndef counter(start): ...\n", "double").adapters) == {"double"}


def test_a_module_object_without_weights_is_called_as_it_is(find):
    """An activation is one module for all sizes."""
    found = find(USE + "double = nn.Identity()\n")
    assert type(found.adapters["double"]).__name__ == "ModuleAdapter"


def test_where_it_is_and_what_it_is_called_are_told(find, here):
    """For the header of a report."""
    found = find("def double(x): return x\n")
    assert found.name == "student.py" and found.where == str(here / "student.py")


# variants ------------------------------------------------------------------------------------------------------------


def test_variants_are_declared_by_the_module(find):
    """A dictionary at the top of the file."""
    assert find("PLUMBLINE = {'variants': {'double': 'triple'}}\ndef double(x): ...\n").variants == {"double": "triple"}


def test_variants_are_declared_by_the_factory(find):
    """Beside the component's name."""
    assert find(USE + "@implements('double', variant='triple')\ndef build(config): ...\n").variants == {
        "double": "triple"
    }


def test_an_unknown_variant_is_refused_with_the_legal_ones(find):
    """Whatever is not legal is no variant."""
    text = refusal(find, "PLUMBLINE = {'variants': {'double': 'tripel'}}\ndef double(x): ...\n")
    assert "no variant 'tripel'" in text and "triple" in text


def test_a_variant_of_an_unknown_component_is_refused(find):
    """With the nearest component."""
    assert "did you mean double?" in refusal(
        find, "PLUMBLINE = {'variants': {'doubel': 'triple'}}\ndef double(x): ...\n"
    )


def test_a_switch_that_does_not_exist_is_refused(find):
    """A misspelt switch must not be a silence."""
    assert "PLUMBLINE must be" in refusal(find, "PLUMBLINE = {'variant': {}}\ndef double(x): ...\n")


# refusals ------------------------------------------------------------------------------------------------------------


def test_a_factory_of_an_unknown_component_is_refused_with_the_nearest(find):
    """And with the line it stands on."""
    text = refusal(find, USE + "@implements('LinearMap2')\ndef build(config): ...\n")
    assert "did you mean linear_map?" in text and "student.py:" in text


def test_two_factories_of_one_component_are_refused(find):
    """Both are named with their lines."""
    two = "@implements('double')\ndef one(config): ...\n@implements('double')\ndef two(config): ...\n"
    text = refusal(find, USE + two)
    assert "two factories" in text and "one (" in text and "two (" in text


def test_a_parameter_name_that_does_not_exist_is_refused(find):
    """``names=`` speaks of the contract's parameters."""
    text = refusal(find, USE + "@implements('linear_map', names={'wieght': 'w'})\ndef build(config): ...\n")
    assert "did you mean weight?" in text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("@implements\ndef build(config): ...", "needs the name of a component"),
        ("implements('double')(3)", "cannot be called"),
        ("@implements('double', layout='columns')\ndef build(config): ...", "in_out"),
        ("@implements('double', names=3)\ndef build(config): ...", "dictionary"),
        ("@implements('double', output=1.5)\ndef build(config): ...", "an attribute, an index or a function"),
        ("@implements('double', variant=3)\ndef build(config): ...", "legal variant"),
        ("@implements('double', call='forward')\ndef build(config): ...", "a function of the module"),
    ],
)
def test_a_wrong_word_of_implements_is_refused_with_its_line(find, line, said):
    """What it must be, where it stands, and that nothing was checked."""
    text = refusal(find, USE + line + "\n")
    assert said in text and "student.py" in text and "No check was run" in text


def test_a_module_without_components_is_refused_with_the_shortest_example(find):
    """The names there are, and a line to start with."""
    text = refusal(find, "answer = 42\n")
    assert "def double(x): ..." in text and "double, linear_map, counter" in text


def test_module_classes_alone_are_refused_with_how_to_build_them(find):
    """The most common file of all: classes, and no word of what they are."""
    text = refusal(find, USE + "class GPT(nn.Module): ...\n")
    assert "GPT" in text and "@implements" in text and "return GPT(...)" in text


def test_an_undecorated_factory_is_refused_with_how_to_declare_it(find):
    """``file.py:build`` without a word of what it builds."""
    assert '@implements("COMPONENT")' in refusal(find, "def build(config): ...\n", "build")


def test_a_package_whose_files_hold_module_classes_is_told_which(here):
    """Their text is read; nothing of them is run."""
    (here / "llm").mkdir()
    (here / "llm" / "__init__.py").write_text("")
    (here / "llm" / "model.py").write_text("raise SystemExit\nclass GPT(nn.Module): ...\nclass Other: ...\n")
    with pytest.raises(UsageError, match=r"model.py has the module classes GPT: --impl=llm.model"):
        discover("llm", CONTRACTS)


def test_a_package_that_keeps_components_in_unimported_files_is_told_so(here):
    """Its __init__ is empty."""
    (here / "shelf").mkdir()
    (here / "shelf" / "__init__.py").write_text("")
    (here / "shelf" / "double.py").write_text("def double(x): return x\n")
    with pytest.raises(UsageError, match=r"double\.py; import"):
        discover("shelf", CONTRACTS)


# notes ---------------------------------------------------------------------------------------------------------------

OTHER = "def counter(start): ...\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (USE + "class linear_map(nn.Module): ...\n", '@implements("linear_map")'),
        (USE + "class MyLinearMap(nn.Module): ...\n", "MyLinearMap is not checked"),
        (USE + "linear_map = nn.Linear(2, 2)\n", "one size"),
        ("class double: ...\n", "must be a function double(x)"),
        ("double = 3\n", "double is an int, not a function"),
        ("def doubel(x): ...\n", "doubel is not checked; if it is meant as double"),
        ("def Linear_Map(x, weight): ...\n", "if it is meant as linear_map"),
    ],
)
def test_what_is_nearly_a_component_is_noted(find, source, said):
    """Not refused, for the file offers something else, and not passed over in silence."""
    notes = find(source + OTHER).notes
    assert len(notes) == 1 and notes[0].code is NoteCode.NOT_CHECKED and said in notes[0].text


def test_helpers_and_imports_are_not_noted(find):
    """A note about everything would be read by nobody."""
    source = "import math\nfrom math import floor\ndef _doubel(x): ...\ndef helper(x): ...\n"
    assert find(source + OTHER).notes == ()
