"""reference_model/adamw_8bit.py against bitsandbytes' code book, and against the 32-bit optimiser."""

import pytest
import torch

from reference_model import adamw, adamw_8bit
from reference_model.adamw_8bit import dynamic_map, packed, unpacked


@pytest.mark.parametrize("signed", [True, False])
def test_code_book_is_that_of_bitsandbytes(signed):
    functional = pytest.importorskip("bitsandbytes.functional")
    torch.testing.assert_close(dynamic_map(signed).float(), functional.create_dynamic_map(signed=signed))


@pytest.mark.parametrize(("signed", "lost"), [(True, 0.0070313), (False, 0.0035157)])
def test_numbers_come_back_within_half_a_gap(signed, lost):
    """Of each block's largest; 0 and the largest come back as they were; a short last block is a block."""
    moment = torch.randn(5000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moment = moment if signed else moment.square()
    moment[::7] = 0
    back = unpacked(packed(moment, signed), moment, signed)
    for start in range(0, 5000, 256):
        block, other = moment[start : start + 256], back[start : start + 256]
        assert float((block - other).abs().max()) <= lost * float(block.abs().max())
        assert bool((other[block == 0] == 0).all())


def test_follows_the_32_bit_optimiser():
    """Ten steps; what has no gradient does not move; small parameters are exactly AdamW's."""
    source = torch.Generator().manual_seed(1)
    params = [torch.randn(70, 64, generator=source), torch.randn(9, generator=source)]
    wide, narrow = adamw(params, lr=0.01, weight_decay=0.0), adamw_8bit(params, lr=0.01, weight_decay=0.0)
    for _ in range(10):
        grads = [torch.randn(p.shape, generator=source) for p in params]
        grads[0][:, ::2] = 0
        expected, found = wide.step(grads), narrow.step(grads)
    assert torch.equal(found[1], expected[1]) and torch.equal(found[0][:, ::2], params[0][:, ::2])
    gap = (found[0] - expected[0]).abs()
    assert 0 < float(gap.mean()) < 0.02 * 0.01 * 10


def test_state_is_one_byte_per_moment():
    codes, scales = packed(torch.randn(4096), True)
    assert codes.dtype == torch.uint8 and codes.shape == (4096,) and scales.shape == (16,)
