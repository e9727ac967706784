"""Names are checked before anything runs, and whatever cannot be had is refused with a complete text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.core.errors import ImportFailed, UsageError
from harness.discovery.importing import load
from harness.discovery.locate import locate

ROOT = Path(__file__).resolve().parents[3]


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


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        load(locate(text))
    return str(caught.value)


def test_a_module_of_the_current_directory_is_found(here):
    """As ``python -m`` would find it."""
    (here / "mine_here.py").write_text("answer = 42\n")
    module, thing = load(locate("mine_here"))
    assert module is thing and module.answer == 42


def test_a_dotted_module_is_found(here):
    """A module inside a package, by its whole name."""
    (here / "pack_here" / "inner").mkdir(parents=True)
    (here / "pack_here" / "__init__.py").write_text("")
    (here / "pack_here" / "inner" / "__init__.py").write_text("")
    (here / "pack_here" / "inner" / "deep.py").write_text("answer = 7\n")
    assert load(locate("pack_here.inner.deep"))[0].answer == 7


def test_folders_without_init_are_packages(here):
    """As Python has it: ``a.b.m`` is found in a/b/m.py, and nothing is imported to find it."""
    (here / "bare_here" / "inner").mkdir(parents=True)
    (here / "bare_here" / "inner" / "deep.py").write_text("answer = 7\n")
    place = locate("bare_here.inner.deep:answer")
    assert place.path == here / "bare_here" / "inner" / "deep.py"
    assert "bare_here" not in sys.modules
    assert load(place)[1] == 7
    assert load(locate("bare_here.inner"))[0].__name__ == "bare_here.inner"


def test_a_regular_package_inside_a_bare_folder_is_found(here):
    (here / "bare_outer" / "boxed").mkdir(parents=True)
    (here / "bare_outer" / "boxed" / "__init__.py").write_text("answer = 8\n")
    assert load(locate("bare_outer.boxed"))[0].answer == 8


def test_a_missing_module_of_a_bare_folder_is_a_usage_error(here):
    (here / "bare_lost" / "inner").mkdir(parents=True)
    (here / "bare_lost" / "inner" / "deep.py").write_text("")
    assert "there is no module 'bare_lost.inner.deeep'; did you mean deep?" in refusal("bare_lost.inner.deeep")
    assert "there is no module 'bare_lost.inmer'; did you mean inner?" in refusal("bare_lost.inmer.deep")


def test_a_bare_folder_that_an_installed_package_hides_is_named_by_its_file(here):
    (here / "json").mkdir()
    (here / "json" / "deep.py").write_text("")
    assert "--impl=./json/deep.py" in refusal("json.deep")


def test_a_file_is_imported_under_a_name_of_its_own(here):
    """So that a file called like an installed module hides nothing and is not hidden."""
    (here / "json.py").write_text("from helper_beside import answer\n")
    (here / "helper_beside.py").write_text("answer = 3\n")
    module, _ = load(locate("./json.py"))
    assert module.answer == 3 and module.__name__ != "json" and sys.modules["json"] is not module


def test_a_file_is_run_anew_each_time(here):
    """Somebody who edits a file and asks again gets the new one."""
    (here / "changing.py").write_text("answer = 1\n")
    load(locate("changing.py"))
    (here / "changing.py").write_text("answer = 22\n")
    assert load(locate("changing.py"))[0].answer == 22


def test_a_package_directory_is_imported_as_a_package(here):
    """Relative imports inside it work."""
    (here / "sub" / "boxed").mkdir(parents=True)
    (here / "sub" / "boxed" / "__init__.py").write_text("from .other import answer\n")
    (here / "sub" / "boxed" / "other.py").write_text("answer = 5\n")
    assert load(locate("./sub/boxed"))[0].answer == 5


def test_an_object_behind_a_colon_is_found(here):
    """Of a module or a file, attributes of attributes too."""
    (here / "holder_here.py").write_text("class outer:\n    inner = 9\n")
    assert load(locate("holder_here:outer.inner"))[1] == 9
    assert load(locate("./holder_here.py:outer"))[1].inner == 9


def test_an_unknown_module_is_refused_with_the_nearest_name(here):
    """A slip of the finger is answered with what was meant, and with the forms that --impl takes."""
    (here / "mymodel.py").write_text("")
    text = refusal("mymodle")
    assert "did you mean mymodel?" in text and "./student.py" in text and "mistake:" in text


def test_an_unknown_module_near_an_installed_one_is_refused_with_that(here):
    """Where the current directory has nothing of the kind."""
    assert "hypothesis" in refusal("hypothesys")


def test_an_unknown_submodule_is_refused_with_the_nearest(here):
    """Without importing the package."""
    (here / "parts_here").mkdir()
    (here / "parts_here" / "__init__.py").write_text("raise RuntimeError('must not run')\n")
    (here / "parts_here" / "model.py").write_text("")
    assert "did you mean model?" in refusal("parts_here.modle")


def test_an_object_given_as_a_submodule_is_refused_with_the_colon(here):
    """``module.thing`` is what people write first."""
    (here / "flat_here.py").write_text("thing = 1\n")
    assert "--impl=flat_here:thing" in refusal("flat_here.thing")


def test_an_unknown_file_is_refused_with_the_nearest(here):
    """Names of files in the same folder."""
    (here / "student.py").write_text("")
    assert "did you mean student.py?" in refusal("./studnet.py")


def test_a_file_in_an_unknown_folder_is_refused(here):
    """The folder is named."""
    assert "nor a directory nowhere" in refusal("nowhere/student.py")


def test_a_file_that_is_no_notebook_is_refused(here):
    """It has the suffix alone."""
    (here / "lesson.ipynb").write_text("{}")
    assert "no notebook that can be read: it has no cells" in refusal("./lesson.ipynb")


def test_a_file_that_is_not_python_is_refused(here):
    """Whatever it holds."""
    (here / "notes.txt").write_text("hello")
    assert "not a Python file" in refusal("./notes.txt")


def test_a_directory_without_definitions_is_refused_with_its_files(here):
    """Nothing in it can be checked."""
    (here / "code").mkdir()
    (here / "code" / "gpt.py").write_text("x = 3\n")
    assert "no file defines anything. It holds gpt.py" in refusal("./code")


@pytest.mark.parametrize("init", ["", "course/__init__.py", "course/__init__.py course/week1/__init__.py"])
def test_a_file_with_relative_imports_is_imported_in_its_package(here, init):
    """Named by its path, in folders with or without ``__init__.py``."""
    (here / "course" / "week1" / "lib").mkdir(parents=True)
    for file in init.split():
        (here / file).write_text("")
    (here / "course" / "week1" / "answer.py").write_text(
        "from .lib.deep import one\nfrom . import helper\nfrom ..util import three\nsum = one + helper.two + three\n"
    )
    (here / "course" / "week1" / "lib" / "deep.py").write_text("one = 1\n")
    (here / "course" / "week1" / "helper.py").write_text("two = 2\n")
    (here / "course" / "util.py").write_text("three = 3\n")
    assert load(locate("./course/week1/answer.py"))[0].sum == 6
    (here / "course" / "week1" / "lib" / "deep.py").write_text("one = 11\n")
    assert load(locate("./course/week1/answer.py"))[0].sum == 16


def test_what_a_file_imports_is_looked_for_in_the_folders_above_it(here):
    """``python -m src.model.gpt`` and ``python src/train.py`` are run from different folders."""
    (here / "repo_here" / "src" / "model_here").mkdir(parents=True)
    (here / "repo_here" / "src" / "other_here.py").write_text("one = 1\n")
    file = here / "repo_here" / "src" / "model_here" / "gpt.py"
    file.write_text("from src.other_here import one\nfrom other_here import one as two\nthree = one + two\n")
    assert load(locate(str(file)))[0].three == 2


def test_an_unknown_object_is_refused_with_the_nearest(here):
    """Nearest attribute names, capitals and underscores aside."""
    (here / "nearby_here.py").write_text("def build_model(config): ...\n")
    assert "did you mean build_model?" in refusal("nearby_here:buildmodel")


@pytest.mark.parametrize("text", ["", "two words", "mine:", "mine:a b", "1abc"])
def test_what_is_no_name_at_all_is_refused_with_the_forms(here, text):
    """Empty texts, spaces, nothing after the colon."""
    assert "--impl takes" in refusal(text)


def test_a_module_hidden_by_a_loaded_one_is_refused(here):
    """Checking the other one would be a silence about somebody's own file."""
    (here / "json.py").write_text("")
    assert "--impl=./json.py" in refusal("json")


def test_a_failing_import_shows_their_traceback_from_their_first_frame(here):
    """Their frames and the error; not ours, not the import machinery's."""
    (here / "broken_here.py").write_text("import second_here\n")
    (here / "second_here.py").write_text("def f():\n    return 1 / 0\nf()\n")
    for name in ("broken_here", "./broken_here.py"):
        sys.modules.pop("second_here", None)
        text = refusal(name)
        frames = [line for line in text.splitlines() if line.startswith("  File")]
        assert "No check was run" in text and "ZeroDivisionError" in text
        assert "broken_here.py" in frames[0] and "second_here.py" in frames[1] and len(frames) == 3


def test_a_failing_import_is_its_own_kind_of_wrong_use(here):
    """So that a report can tell it from a slip of the finger."""
    (here / "fails_here.py").write_text("raise ValueError('no')\n")
    with pytest.raises(ImportFailed, match="ValueError: no"):
        load(locate("fails_here"))


def test_a_cause_is_shown_without_our_frames(here):
    """Chained errors keep their chain."""
    (here / "chain_here.py").write_text(
        "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('x') from e\n"
    )
    text = refusal("chain_here")
    assert "ZeroDivisionError" in text and "direct cause" in text and "locate.py" not in text


def test_a_syntax_error_is_shown_with_its_line(here):
    """A file that cannot even be read."""
    (here / "typo_here.py").write_text("def gelu(x:\n    return x\n")
    text = refusal("./typo_here.py")
    assert "SyntaxError" in text and "typo_here.py" in text and "def gelu(x:" in text


def test_a_missing_package_is_named_with_how_to_install_it(here):
    """In the Python that runs us, which may not be the one they think."""
    (here / "needs_here.py").write_text("import surely_not_installed.part\n")
    text = refusal("needs_here")
    assert "pip install surely_not_installed" in text and sys.executable in text


def test_a_module_that_exits_is_refused(here):
    """sys.exit at import does not end the run silently."""
    (here / "exits_here.py").write_text("import sys\nsys.exit(0)\n")
    text = refusal("exits_here")
    assert "ends the program" in text and "__main__" in text


def test_a_module_that_skips_itself_is_refused(here):
    """What test frameworks raise is no Exception, and must not pass as one of ours."""
    (here / "skips_here.py").write_text("import pytest\npytest.skip('later', allow_module_level=True)\n")
    assert "later" in refusal("skips_here")


def test_locating_loads_nothing_heavy(here):
    """A wrong name is refused in the time that Python takes to start, not in the time that torch takes to load."""
    code = (
        "import sys; from harness.discovery.locate import locate; from harness.core.errors import UsageError\n"
        "import harness.discovery.implements\n"
        "try: locate('nosuchmodule')\n"
        "except UsageError: print('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, check=False
    )
    assert found.stdout.strip() == "False", found.stderr
