"""A model whose tables have names of nobody else is known by their type, and a head of its own survives loading."""

from __future__ import annotations

import torch
from support_plugging import KNOWN, compared, plugged

from harness.core.implementation import Request
from harness.execution.executor import Executor
from harness.execution.functions import MisfitAdapter
from harness.strategies.sampling import draw

MODEL = """
    class Layer(nn.Module):
        def __init__(self, width, heads):
            super().__init__()
            self.heads, self.ln1, self.ln2 = heads, nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.qkv(self.ln1(x)).chunk(3, -1))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).flatten(2))
            return x + self.down(F.gelu(self.up(self.ln2(x)), approximate="tanh"))


    class GPT(nn.Module):
        def __init__(self, vocab_size, block_size, n_layer, n_head, n_embd):
            super().__init__()
            self.{first}, self.{second} = {tables}
            self.layers = nn.ModuleList(Layer(n_embd, n_head) for _ in range(n_layer))
            self.ln_f = nn.LayerNorm(n_embd)
            self.head = nn.Linear(n_embd, vocab_size, bias=False)

        def load_state_dict(self, *arguments, **options):
            result = super().load_state_dict(*arguments, **options)
            {loaded}
            return result

        def forward(self, ids):
            x = self.{tokens}(ids) + self.{places}(torch.arange(ids.shape[1]))
            for layer in self.layers:
                x = layer(x)
            return self.head(self.ln_f(x))
"""
TABLES = "nn.Embedding(vocab_size, n_embd), nn.Embedding(block_size, n_embd)"
RIGHT = {"first": "tok", "second": "pos", "tokens": "tok", "places": "pos", "tables": TABLES, "loaded": "pass"}


def reloaded_differs(implementation) -> bool:
    """Whether a model that loaded the state of another one computes something else."""
    executor = Executor("theirs", implementation.adapters, KNOWN)
    for case in draw(KNOWN["gpt2"].cases(), 5, 4):
        plain = executor.run(Request("gpt2", case))
        again = executor.run(Request("gpt2", case, context="reloaded"))
        if plain.crash is not None:
            continue  # an eps that it does not take
        assert again.crash is None
        if not torch.equal(plain.value, again.value):
            return True
    return False


def test_embeddings_are_known_by_their_type(tmp_path):
    """Of any name, and in any order; the head is the token embedding's copy."""
    exchanged = ", ".join(f"nn.Embedding({n}, n_embd)" for n in ("block_size", "vocab_size"))
    other = {"first": "where", "second": "what", "tokens": "what", "places": "where", "tables": exchanged}
    for names in (RIGHT, {**RIGHT, **other}):
        text = MODEL.format(**names)
        implementation = plugged(tmp_path, text)
        assert {"gpt2", "token_embedding", "learned_positions", "layer_norm"} <= set(implementation.adapters)
        assert compared(implementation, "gpt2").right
        assert not reloaded_differs(implementation)


def test_a_head_is_known_by_its_shape(tmp_path):
    """Of a name that no alias has; one with a bias is no table of ids."""
    text = MODEL.format(**RIGHT).replace("self.head", "self.speak")
    assert compared(plugged(tmp_path, text), "gpt2").right
    biased = text.replace(
        "self.speak = nn.Linear(n_embd, vocab_size, bias=False)", "self.speak = nn.Linear(n_embd, vocab_size)"
    )
    assert text != biased and isinstance(plugged(tmp_path, biased).adapters["gpt2"], MisfitAdapter)


def test_a_head_that_is_lost_on_loading_is_seen(tmp_path):
    """It is saved with other numbers than the embedding, and comes back with those of the embedding."""
    lost = MODEL.format(**{**RIGHT, "loaded": "self.head.weight = self.tok.weight"})
    assert reloaded_differs(plugged(tmp_path, lost))
    copied = MODEL.format(**{**RIGHT, "loaded": "self.tok.weight.data.copy_(self.head.weight)"})
    assert reloaded_differs(plugged(tmp_path, copied))


def test_a_head_that_is_tied_is_loaded_as_one(tmp_path):
    tie = "bias=False)\n            self.head.weight = self.tok.weight\n"
    text = MODEL.format(**RIGHT).replace("bias=False)\n", tie, 1)
    implementation = plugged(tmp_path, text)
    assert compared(implementation, "gpt2").right and not reloaded_differs(implementation)


def test_tables_that_are_exchanged_are_not_told_apart_by_what_they_compute(tmp_path):
    """The shapes decide: ids look up the positions' table, and that is wrong or fails."""
    text = MODEL.format(**{**RIGHT, "tokens": "pos", "places": "tok"})
    assert compared(plugged(tmp_path, text), "gpt2").differ
