"""A file to begin with: written from the contracts, importable, all of it to do, and judged as it is filled in."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_runs import Runs

from harness.cli import main
from harness.commands._skeleton import STYLES
from harness.core.record import Status
from harness.judging.catalogue import load_catalogue
from harness.judging.loading import inspect_implementation

STUB = "    raise NotImplementedError"
LAYER_NORM = "    return torch.nn.functional.layer_norm(x, x.shape[-1:], weight, bias, eps)"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def filled(text: str, head: str, body: str) -> str:
    """The file with the first stub after this line replaced."""
    before, found, after = text.partition(head)
    assert found
    return before + found + after.replace(STUB, body, 1)


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_all_to_do(style: str, folder: Path, capsys: pytest.CaptureFixture) -> None:
    """It imports, every component is found, none is begun, and each says that it is to do."""
    assert main(["init", f"begin_{style}", "--style", style]) == 0
    assert f"pytest --impl=begin_{style}" in capsys.readouterr().out
    inspection = inspect_implementation(str(folder / f"begin_{style}.py"), cases=3)
    assert set(inspection.implementation.components) == set(load_catalogue().contracts) and inspection.begun == ()
    for name in inspection.catalogue.contracts:
        assert inspection.judge(name, inspection.catalogue.claims_of(name)[0]).status == Status.TO_DO, name


def test_one_component_filled_in_is_judged_alone(folder: Path, runs: Runs) -> None:
    """layer_norm passes, the rest is to do and no failure; with --impl-require=all it is one."""
    assert main(["init"]) == 0
    file = folder / "mymodel.py"
    file.write_text(filled(file.read_text(), "def layer_norm(", LAYER_NORM))
    done = runs.start(folder, ["--impl=mymodel", "--impl-cases=5"])
    assert done.code == 0, done.output
    table = done.output.partition("= components =")[2].partition("\nnext:")[0].strip().splitlines()
    judged = [line for line in table[1:] if line.endswith("passed")]
    assert len(judged) == 1 and judged[0].startswith("layer_norm")
    assert sum(line.endswith("to do") for line in table) == len(load_catalogue().contracts) - 1
    chosen = ["--impl-require=all", "-k", "layer_norm or gelu"]
    required = runs.start(folder, ["--impl=mymodel", "--impl-cases=5", *chosen])
    assert required.code == 1 and "gelu is required" in required.output


def test_modules_and_backward_functions_are_found_where_they_are_written(folder: Path) -> None:
    """A module through its factory, a function on arrays with its own backward; one without is to do backwards."""
    main(["init", "mods.py", "layer_norm", "--style", "modules"])
    text = (folder / "mods.py").read_text()
    text = text.replace(
        "        # parameters", "        self.norm = nn.LayerNorm(width, eps=eps)\n        # parameters", 1
    )
    (folder / "mods.py").write_text(text.replace(f"    {STUB}", "        return self.norm(x)", 1))
    assert holds("mods.py", "layer_norm", "agrees_with_the_reference") == Status.PASSED
    main(["init", "arrays.py", "gelu", "--style", "numpy"])
    body = "    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))"
    (folder / "arrays.py").write_text(filled((folder / "arrays.py").read_text(), "def gelu(", body))
    assert holds("arrays.py", "gelu", "agrees_with_the_reference") == Status.PASSED
    assert holds("arrays.py", "gelu", "gradients_agree") == Status.TO_DO


def holds(file: str, component: str, claim: str) -> str:
    inspection = inspect_implementation(f"./{file}", cases=5)
    (found,) = (c for c in inspection.catalogue.claims_of(component) if c.name == claim)
    return inspection.judge(component, found).status


def test_some_components_bring_what_they_are_made_of(folder: Path) -> None:
    """And the file may be left out."""
    assert main(["init", "mlp"]) == 0
    text = (folder / "mymodel.py").read_text()
    assert "def mlp(" in text and "def gelu(" in text and "def block(" not in text


def test_of_one_model_without_what_only_others_are_made_of(folder: Path) -> None:
    """A gate that may be missing is listed too; what a model class has as a method needs no class of its own."""
    assert main(["init", "begin_llama", "--model", "llama"]) == 0
    text = (folder / "begin_llama.py").read_text()
    named = [f"def {name}(" in text for name in ("llama", "llama_block", "rms_norm", "softmax", "lm_loss")]
    others = [name in text for name in ("def gpt2(", "def block(", "def attention(", "class generation:")]
    assert all(named) and not any(others)
    assert "gate_weight" in text.partition("def llama(")[2].partition("def ")[0]


def test_nothing_is_overwritten(folder: Path, capsys: pytest.CaptureFixture) -> None:
    """An existing file, a name that hides a module, a name that cannot be imported, an unknown style or component."""
    (folder / "mine.py").write_text("precious = 1\n")
    for arguments, told in (
        (["mine"], "--force"),
        (["torch.py"], "would hide the module"),
        (["my-model.py"], "cannot be imported"),
        (["new.py", "--style", "jax"], "functions, modules, numpy"),
        (["new.py", "layernorm"], "did you mean layer_norm"),
        (["new.py", "--model", "lama"], "--model is gpt2 or llama"),
        (["nowhere/new.py"], "cannot be written"),
    ):
        assert main(["init", *arguments]) == 4, arguments
        assert told in capsys.readouterr().err, arguments
    assert (folder / "mine.py").read_text() == "precious = 1\n"
    assert main(["init", "mine", "--force"]) == 0 and "def gelu" in (folder / "mine.py").read_text()
