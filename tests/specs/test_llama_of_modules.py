"""Llamas as people write them: found with nothing written, judged with the tensors that they have."""

from __future__ import annotations

from support_plugging import KNOWN, compared, plugged
from support_styles import STYLES, inspect_style, outcome

from harness.core.note import NoteCode
from harness.execution.executor import Executor
from harness.execution.functions import FunctionAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection
from harness.project.epsilon import with_eps
from harness.strategies.sampling import draw
from reference_model import grouped_query_attention


def test_a_tied_llama_has_weight_tying_and_an_untied_one_is_no_failure():
    """Most Llamas have a head of their own."""
    tied = outcome(inspect_style(str(STYLES / "llama_single_file.py"), "positions=rotary"), "weight_tying")
    assert tied.status == "passes"
    untied = outcome(inspect_style(str(STYLES / "llama_book.py")), "weight_tying")
    assert untied.status in ("not checked", "not applicable") and "a tensor of its own" in untied.why


def test_a_part_is_judged_in_the_form_that_it_has_inside():
    """Rotary positions, which attention alone does not have; and what is declared of the model goes before."""
    judged = inspect_style(str(STYLES / "llama_book.py"))
    assert judged.variants["grouped_query_attention"] == "rotary_halves"
    notes = [note for note in judged.notes if note.code is NoteCode.PART_FORM]
    assert [note.component for note in notes] == ["grouped_query_attention"]
    declared = inspect_style(str(STYLES / "llama_meta.py"), "llama=rotary")
    assert declared.variants["grouped_query_attention"] == "rotary"


def test_a_function_is_not_given_tensors_that_it_does_not_read():
    """Cases are judged without them."""

    def plain(x, query_weight, key_weight, value_weight, out_weight, n_heads, n_kv_heads):
        return grouped_query_attention(x, query_weight, key_weight, value_weight, out_weight, n_heads, n_kv_heads)

    known = load_catalogue()
    adapter = FunctionAdapter(plain)
    judged = Inspection(known, Executor("plain", {"grouped_query_attention": adapter}, known.contracts), cases=12)
    cases = judged.bench.cases_of(known.contracts["grouped_query_attention"])
    assert len(cases) >= 5 and all(case.arguments["sinks"] is None for case in cases)
    assert {"sinks", "q_norm_weight", "query_bias"} <= set(adapter.absent)


COMPLEX = """
    class GroupedQueryAttention(nn.Module):
        def __init__(self, dim, n_heads, n_kv_heads):
            super().__init__()
            self.heads, self.groups, self.size = n_heads, n_kv_heads, dim // n_heads
            self.wq, self.wo = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
            self.wk, self.wv = (nn.Linear(dim, n_kv_heads * self.size, bias=False) for _ in range(2))
            steps = 1e4 ** -(torch.arange(0, self.size, 2).double() / self.size)
            angles = torch.outer(torch.arange(64).double(), steps)
            self.register_buffer("turns", torch.polar(torch.ones_like(angles), angles), persistent=False)

        def forward(self, x):
            q, k, v = (layer(x).view(*x.shape[:2], -1, self.size) for layer in (self.wq, self.wk, self.wv))
            turns = self.turns[: x.shape[1], None]
            pairs = (torch.view_as_complex(t.unflatten(-1, (-1, 2))) for t in (q, k))
            q, k = (torch.view_as_real(t * turns).flatten(-2) for t in pairs)
            k, v = (t.repeat_interleave(self.heads // self.groups, 2) for t in (k, v))
            q, k, v = (t.transpose(1, 2) for t in (q, k, v))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.wo(y.transpose(1, 2).flatten(2))
"""


def test_complex_tables_stay_complex(tmp_path):
    """A module that is moved to float64 keeps the imaginary part of its buffers."""
    found = compared(plugged(tmp_path, COMPLEX), "grouped_query_attention", "rotary", count=30)
    assert found.right, found


def test_a_declared_epsilon_holds_for_calls_that_leave_it_out():
    """The block's eps is mostly left out."""
    contract = with_eps(KNOWN["llama_block"], 1e-6)
    given = [case.arguments["eps"] for case in draw(contract.cases(), 0, 8)]
    assert 1e-6 in given and 1e-5 not in given


def test_the_forms_of_nanochat_are_one_declaration():
    """Weightless norms whose epsilon is torch's own, a rotation the other way round, capped logits."""
    forms = "relu2+rms_after_rope+backwards+of_dtype+normalised+final_softcap=15"
    assert len(KNOWN["llama"].legal.in_text(forms)) == 6
