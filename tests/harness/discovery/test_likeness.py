"""Classes that are a component by what they take and have, whatever their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.record import Status
from harness.discovery.search import discover
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.judging.loading import inspect_implementation

STYLES = Path(__file__).parents[2] / "styles"
CONTRACTS = load_catalogue().contracts
SLOW = "matches_gpt2_ids"
"""It builds from 50,256 tokens."""


def statuses(judged: Inspection, component: str) -> dict[str, Status]:
    contract = judged.catalogue.contracts[component]
    claims = [c for c in judged.catalogue.claims_of(component) if c.name != SLOW]
    return {claim.name: judged.bench.judge(contract, claim, shrink=False)[0].status for claim in claims}


def wrong(judged: Inspection, component: str) -> set[str]:
    """The claims that fail; some must pass."""
    found = statuses(judged, component)
    assert Status.PASSED in found.values()
    return {name for name, status in found.items() if status in (Status.FAILED, Status.CRASHED)}


def edited(tmp_path: Path, style: str, *edits: tuple[str, str]) -> str:
    """A style's file with edits, as ``--impl`` takes it."""
    text = (STYLES / f"{style}.py").read_text(encoding="utf-8")
    for right, mistake in edits:
        assert right in text
        text = text.replace(right, mistake, 1)
    path = tmp_path / f"{style}.py"
    path.write_text(text, encoding="utf-8")
    return str(path)


# tokenizers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edits", "tokenizer", "trainer"),
    [
        ((), False, False),
        ((("min(get_stats(ids)", "max(get_stats(ids)"),), True, False),
        ((("max(stats, key=stats.get)", "min(stats, key=stats.get)"),), False, True),
        ((('errors="replace"', 'errors="ignore"'),), True, False),
        ((("ids[i + 1] == pair[1]", "True"),), True, True),
    ],
)
def test_a_tokenizer_class_trains_and_encodes(
    tmp_path: Path, edits: tuple[tuple[str, str], ...], tokenizer: bool, trainer: bool
) -> None:
    """The one with a pattern is judged; mistakes in it, and in what it inherits, show."""
    judged = inspect_implementation(edited(tmp_path, "tokenizer_steps", *edits), cases=10)
    assert {"tokenizer", "train_bpe"} == set(judged.implementation.components)
    assert bool(wrong(judged, "tokenizer")) is tokenizer and bool(wrong(judged, "train_bpe")) is trainer


def test_the_base_is_none_and_the_other_is_named() -> None:
    found = discover(str(STYLES / "tokenizer_steps.py"), CONTRACTS)
    assert found.adapters["tokenizer"].source.__name__ == "RegexTokenizer"
    text = "BasicTokenizer is not checked where it is tokenizer and train_bpe too: RegexTokenizer is. To check it: "
    assert [note.text.startswith(f"{text}--impl=") for note in found.notes] == [True]
    assert found.adapters["tokenizer"].notes == ("called as karpathy/minbpe does: RegexTokenizer(pattern)",)


def test_a_tokenizer_without_a_pattern_is_right_where_nothing_is_split() -> None:
    judged = inspect_implementation(f"{STYLES / 'tokenizer_steps.py'}:BasicTokenizer", cases=12)
    assert wrong(judged, "tokenizer") == wrong(judged, "train_bpe") == set()


def test_a_class_of_vocabulary_and_merges_needs_no_function_that_builds_it(tmp_path: Path) -> None:
    """The class of a course's file, without the course's adapters."""
    text = (STYLES / "cs336.py").read_text(encoding="utf-8")
    path = tmp_path / "mine.py"
    kept = text[text.index("PATTERN =") : text.index("def get_tokenizer")]
    path.write_text(f"import regex\n{kept}", encoding="utf-8")
    judged = inspect_implementation(str(path), cases=6)
    assert wrong(judged, "tokenizer") == set()


OPENAI = """
import regex
class Encoder:
    def __init__(self, encoder, bpe_merges, errors="replace"):
        self.encoder, self.errors = encoder, errors
        self.ranks = dict(zip(bpe_merges, range(len(bpe_merges))))
        printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
        others = [b for b in range(256) if b not in printable]
        self.letters = {b: chr(b) for b in printable} | {b: chr(256 + n) for n, b in enumerate(others)}
        self.bytes = {letter: b for b, letter in self.letters.items()}
        self.pat = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+")
    def encode(self, text):
        ids = []
        for piece in self.pat.findall(text):
            word = [self.letters[b] for b in piece.encode()]
            while len(word) > 1:
                pairs = list(zip(word, word[1:]))
                best = min(pairs, key=lambda pair: self.ranks.get(pair, 1e9))
                if best not in self.ranks:
                    break
                at = pairs.index(best)
                word[at:at + 2] = ["".join(best)]
            ids += [self.encoder[token] for token in word]
        return ids
    def decode(self, ids):
        tokens = {i: token for token, i in self.encoder.items()}
        return bytes(self.bytes[c] for i in ids for c in tokens[i]).decode(errors=self.errors)
"""


def test_a_class_of_openai_s_form_is_given_characters_for_bytes(tmp_path: Path) -> None:
    (tmp_path / "encoder.py").write_text(OPENAI)
    judged = inspect_implementation(str(tmp_path / "encoder.py"), cases=6)
    assert wrong(judged, "tokenizer") == set()


def test_a_class_of_characters_is_no_byte_pair_encoding(tmp_path: Path) -> None:
    """It has two of the methods, and nothing to train or to put in."""
    (tmp_path / "chars.py").write_text(
        "class CharTokenizer:\n    def __init__(self, text): ...\n    def encode(self, text): ...\n"
        "    def decode(self, ids): ...\ndef gelu(x): ...\n"
    )
    assert set(discover(str(tmp_path / "chars.py"), CONTRACTS).adapters) == {"gelu"}


# low-rank adapters ---------------------------------------------------------------------------------------------------

OWN_LAYER = """
import math
import torch
from torch import nn

class Adapted(nn.Module):
    def __init__(self, in_features, out_features, rank=4, alpha=8.0, dropout=0.0, bias=True):
        super().__init__()
        self.linear = nn.Linear(in_features, out_features, bias=bias).requires_grad_(False)
        self.down = nn.Linear(in_features, rank, bias=False)
        self.up = nn.Linear(rank, out_features, bias=False)
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        nn.init.zeros_(self.up.weight)
        self.drop, self.scale = nn.Dropout(dropout), alpha / rank
    def forward(self, x):
        return self.linear(x) + self.scale * self.up(self.down(self.drop(x)))
"""
PARAMETRIZATION = """
import math
import torch
from torch import nn

class LoRAParametrization(nn.Module):
    def __init__(self, features_in, features_out, rank=1, alpha=1):
        super().__init__()
        self.lora_A = nn.Parameter(torch.empty(rank, features_out))
        self.lora_B = nn.Parameter(torch.zeros(features_in, rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        self.scale = alpha / rank
    def forward(self, original_weights):
        return original_weights + (self.lora_B @ self.lora_A) * self.scale
"""
RELATIVES = """
import torch
from torch import nn
def gelu(x): ...
class LinearWithDoRA(nn.Module):
    def __init__(self, linear, rank, alpha): ...
    def forward(self, x): ...
class LoRAUpdate(nn.Module):
    def __init__(self, in_dim, out_dim, rank, alpha):
        super().__init__()
        self.A, self.B = nn.Parameter(torch.zeros(in_dim, rank)), nn.Parameter(torch.zeros(rank, out_dim))
    def forward(self, x): return x @ self.A @ self.B
class LoRAModel(nn.Module):
    def __init__(self, network, rank, alpha): ...
    def forward(self, x): ...
"""


@pytest.mark.parametrize(
    ("file", "edit", "is_right"),
    [
        ("lora_wraps", ("", ""), True),
        ("lora_wraps", ("self.linear(x) + self.lora(x)", "self.linear(x) - self.lora(x)"), False),
        ("lora_wraps", ("parameter.requires_grad_(False)", "parameter.requires_grad_(True)"), False),
        ("lora_subclass", ("", ""), True),
        ("lora_subclass", ("sign = -1 if mode else 1", "sign = 1"), False),
        ("lora_subclass", ("lora_alpha / r", "lora_alpha"), False),
        (OWN_LAYER, ("", ""), True),
        (OWN_LAYER, ("self.scale *", ""), False),
        (PARAMETRIZATION, ("", ""), True),
        (PARAMETRIZATION, ("* self.scale", ""), False),
    ],
)
def test_a_low_rank_layer_is_judged(tmp_path: Path, file: str, edit: tuple[str, str], is_right: bool) -> None:
    """Around a layer, a subclass of one, with one of its own, and as a parametrization."""
    text = file if "\n" in file else (STYLES / f"{file}.py").read_text(encoding="utf-8")
    assert edit[0] in text
    (tmp_path / "mine.py").write_text(text.replace(*edit) if edit[0] else text)
    judged = inspect_implementation(str(tmp_path / "mine.py"), cases=4)
    assert set(judged.implementation.components) == {"lora"} and (wrong(judged, "lora") == set()) is is_right


def test_rank_stabilised_layers_are_known_by_their_name(tmp_path: Path) -> None:
    text = OWN_LAYER.replace("Adapted", "RSLoRALinear").replace("alpha / rank", "alpha / math.sqrt(rank)")
    (tmp_path / "mine.py").write_text(text)
    judged = inspect_implementation(str(tmp_path / "mine.py"), cases=4)
    assert set(judged.implementation.components) == {"rslora"} and wrong(judged, "rslora") == set()


def test_relatives_of_a_low_rank_layer_are_none(tmp_path: Path) -> None:
    """Another computation, the update alone, and a whole model."""
    (tmp_path / "mine.py").write_text(RELATIVES)
    assert "lora" not in discover(str(tmp_path / "mine.py"), CONTRACTS).adapters


# optimisers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "edit", "is_found", "is_right"),
    [
        ("SimpleAdamWFromScratch", ("", ""), True, True),
        ("TutorialAdamW2", ('p.mul_(1 - group["lr"] * ', 'p.mul_(1 - 2 * group["lr"] * '), True, False),
        ("StableAdamW", ("", ""), False, False),
        ("Adam", ("", ""), False, False),
    ],
)
def test_an_optimiser_is_adamw_by_its_name_and_its_arguments(
    tmp_path: Path, name: str, edit: tuple[str, str], is_found: bool, is_right: bool
) -> None:
    """The name may say more; a relative is another optimiser."""
    text = (STYLES / "optimiser_class.py").read_text(encoding="utf-8").replace("class AdamW", f"class {name}")
    assert edit[0] in text
    (tmp_path / "mine.py").write_text((text.replace(*edit) if edit[0] else text) + "\ndef gelu(x): ...\n")
    judged = inspect_implementation(str(tmp_path / "mine.py"), cases=3)
    assert ("adamw" in judged.implementation.components) is is_found
    assert not is_found or (wrong(judged, "adamw") <= {"deepcopy_and_state_dict_round_trip"}) is is_right


# quantizers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edits", "is_right"),
    [
        ((), True),
        ((("torch.round(", "torch.floor("),), False),
        ((("clamp(min=1e-12)", "clamp(min=1e-3)"),), False),
        ((("-self.largest, self.largest)", "-300, 300)"), ("/ self.largest", "/ 128")), False),
        (((".abs().amax(", ".amax("),), False),
    ],
)
def test_a_quantizer_that_keeps_its_scale_is_judged(
    tmp_path: Path, edits: tuple[tuple[str, str], ...], is_right: bool
) -> None:
    """By rows: what a case groups otherwise is given to it as rows."""
    judged = inspect_implementation(edited(tmp_path, "quantizers", *edits), cases=8)
    assert (wrong(judged, "quantize_int8") == set()) is is_right


def test_a_quantizer_of_whole_tensors_or_columns_is_judged_on_those(tmp_path: Path) -> None:
    for edit in (("amax(dim=1, keepdim=True)", "max()"), ("amax(dim=1, keepdim=True)", "amax(dim=0)")):
        judged = inspect_implementation(edited(tmp_path, "quantizers", edit), cases=8)
        assert wrong(judged, "quantize_int8") <= {"handles_any_magnitude"}  # no scale is below 1e-12
