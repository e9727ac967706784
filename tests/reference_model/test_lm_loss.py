"""reference_model/lm_loss.py against torch and against the loss of transformers' GPT-2."""

import math

import pytest
import torch

from reference_model import lm_loss


def draw(batch=3, time=5, vocab_size=11, size=3.0):
    """Logits and targets."""
    source = torch.Generator().manual_seed(5)
    logits = size * torch.randn(batch, time, vocab_size, dtype=torch.float64, generator=source)
    return logits, torch.randint(0, vocab_size, (batch, time), generator=source)


@pytest.mark.parametrize("ignore_index", [-100, -1, 4])
@pytest.mark.parametrize("size", [1.0, 1e4])
def test_equals_torch(ignore_index, size):
    """Values and gradients are torch's, with targets ignored and with logits of 1e4."""
    logits, targets = draw(size=size)
    targets[0, 2:] = ignore_index
    targets[2, 1] = ignore_index
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = lm_loss(ours, targets, ignore_index)
    expected = torch.nn.functional.cross_entropy(theirs.flatten(0, 1), targets.flatten(), ignore_index=ignore_index)
    (1.5 * loss).backward()
    (1.5 * expected).backward()
    assert loss.shape == ()
    assert (loss - expected).abs() <= 1e-14 * expected.abs()
    assert (ours.grad - theirs.grad).abs().max() <= 1e-14


@pytest.mark.parametrize("smoothing", [0.1, 0.25, 1.0])
@pytest.mark.parametrize("z_loss", [0.0, 0.01])
def test_label_smoothing_equals_torch(smoothing, z_loss):
    """Values and gradients, with ignored targets; the z-loss by its definition beside it."""
    logits, targets = draw()
    targets[0, 2:] = -100
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = lm_loss(ours, targets, label_smoothing=smoothing, z_loss=z_loss)
    expected = torch.nn.functional.cross_entropy(theirs.flatten(0, 1), targets.flatten(), label_smoothing=smoothing)
    expected = expected + z_loss * theirs.logsumexp(-1)[targets != -100].square().mean()
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_equals_the_loss_of_transformers():
    """Given labels, GPT-2 of transformers shifts inside; ours wants the next ids, as a batch of text is cut."""
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(vocab_size=13, n_positions=8, n_embd=12, n_layer=1, n_head=2)
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(config).eval()
    ids = torch.randint(0, 13, (3, 8))
    with torch.no_grad():
        told = model(ids, labels=ids)
    assert lm_loss(told.logits[:, :-1], ids[:, 1:]).item() == pytest.approx(told.loss.item(), rel=1e-6)


def test_golden_values():
    """Equal logits cost log V, whatever their level; sure ones cost nothing."""
    targets = torch.tensor([[1, 3]])
    for level in (0.0, 1e4, -1e4):
        flat = torch.full((1, 2, 5), level, dtype=torch.float64)
        assert lm_loss(flat, targets).item() == pytest.approx(math.log(5), rel=1e-15)
    sure = 1e4 * torch.nn.functional.one_hot(targets, 5).double()
    assert lm_loss(sure, targets).item() == 0


def test_all_ignored_is_zero_with_zero_gradient():
    """torch gives nan there; a batch of padding alone must not end a training run."""
    logits, targets = draw()
    logits.requires_grad_()
    loss = lm_loss(logits, torch.full_like(targets, -100))
    loss.backward()
    assert loss.item() == 0 and (logits.grad == 0).all()


@pytest.mark.parametrize("wrong", [11, -1])
def test_refuses_unknown_ids(wrong):
    """An id outside the vocabulary that is not ignore_index raises."""
    logits, targets = draw()
    targets[1, 1] = wrong
    with pytest.raises(RuntimeError):
        lm_loss(logits, targets)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_keeps_the_dtype(dtype):
    """The loss has the dtype of the logits."""
    logits, targets = draw()
    assert lm_loss(logits.to(dtype), targets).dtype == dtype
