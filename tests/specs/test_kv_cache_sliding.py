"""A sliding cache passes where it is declared; where it is not, the report says how to declare it."""

from torch.nn import functional

from harness.core.record import Status
from harness.execution.executor import Executor
from harness.execution.functions import ClassAdapter
from harness.judging.catalogue import load_catalogue
from harness.judging.inspection import Inspection

KNOWN = load_catalogue()


class Ring:
    """Steps write over the oldest place; a prefill must fit."""

    def __init__(self, qkv_weight, qkv_bias, out_weight, out_bias, n_heads, context):
        self.qkv, self.out, self.heads, self.context = (qkv_weight, qkv_bias), (out_weight, out_bias), n_heads, context
        self.k = self.v = None
        self.at = 0
        if out_weight.shape[0] % n_heads:
            raise ValueError("heads")

    def prefill(self, x):
        if self.at or x.shape[1] > self.context:
            raise ValueError("does not fit")
        q, k, v = self._parts(x)
        room = (*k.shape[:2], self.context, k.shape[3])
        self.k, self.v, self.at = k.new_zeros(room), v.new_zeros(room), x.shape[1]
        self.k[:, :, : self.at], self.v[:, :, : self.at] = k, v
        return self._joined(functional.scaled_dot_product_attention(q, k, v, is_causal=True))

    def step(self, x):
        q, k, v = self._parts(x)
        place = self.at % self.context
        self.k[:, :, place], self.v[:, :, place] = k[:, :, 0], v[:, :, 0]
        self.at += 1
        held = min(self.at, self.context)
        return self._joined(functional.scaled_dot_product_attention(q, self.k[:, :, :held], self.v[:, :, :held]))

    def _parts(self, x):
        return functional.linear(x, *self.qkv).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)

    def _joined(self, mixed):
        return functional.linear(mixed.transpose(1, 2).flatten(2), *self.out)


def verdicts(**variants):
    executor = Executor("theirs", {"kv_cache": ClassAdapter(Ring)}, KNOWN.contracts)
    inspection = Inspection(KNOWN, executor, seed=4, variants=variants)
    return {claim.name: inspection.judge("kv_cache", claim) for claim in KNOWN.claims_of("kv_cache")}


def test_declared_it_holds() -> None:
    found = verdicts(kv_cache="sliding")
    assert not [name for name, verdict in found.items() if verdict.failing]
    assert found["overflow_is_refused_or_slides"].status == Status.PASSED


def test_undeclared_it_is_named() -> None:
    """It overflows by steps alone, where a ring and a window are the same."""
    failing = [verdict for verdict in verdicts().values() if verdict.failing]
    assert [verdict.claim for verdict in failing] == ["overflow_is_refused_or_slides"]
    assert failing[0].finding == ("kv_cache.variant=sliding",) or "kv_cache.variant=sliding" in failing[0].or_else
