"""What an inspection costs: processor seconds of training steps with and without it, for models of several widths.

python tests/benchmarks/inspection.py [WIDTH ...]
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import time
from pathlib import Path

import torch

from harness.training import inspect_script

STEPS = 8
SCRIPT = """\
import sys, torch
from torch import nn
from torch.nn import functional as F

D, LAYERS, T, V, B = int(sys.argv[1]), 4, 128, 512, 8
torch.manual_seed(0)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok, self.pos = nn.Embedding(V, D), nn.Embedding(T, D)
        layer = nn.TransformerEncoderLayer(D, 4, 4 * D, 0.1, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.head = nn.Linear(D, V)

    def forward(self, x):
        t = x.shape[1]
        mask = torch.ones(t, t, dtype=torch.bool).triu(1)
        return self.head(self.body(self.tok(x) + self.pos.weight[:t], mask=mask))


model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
data = torch.randint(V, (100_000,))
for step in range(int(sys.argv[2])):
    at = torch.randint(len(data) - T - 1, (B,))
    x, y = (torch.stack([data[a + s:a + s + T] for a in at]) for s in (0, 1))
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
"""


def plain(file: Path, width: int, steps: int) -> float:
    """Processor seconds of so many steps as Python runs them."""
    argv, sys.argv = sys.argv, [str(file), str(width), str(steps)]
    start = time.process_time()
    try:
        exec(compile(file.read_text(), str(file), "exec"), {"__name__": "__main__"})
    finally:
        sys.argv = argv
    return time.process_time() - start


def inspected(file: Path, width: int, steps: int) -> float:
    """Processor seconds of an inspection of so many steps, its judgement included."""
    start = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        result = inspect_script(file, [str(width), str(steps + 1)], steps)
    assert result.steps == steps and not result.failed
    return time.process_time() - start


def main() -> None:
    """A row for each width: the cost of a step both ways, and the fixed start."""
    torch.set_num_threads(1)
    print("width  plain s/step  inspected s/step  ratio  fixed start s")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.py"
        file.write_text(SCRIPT)
        for run in (plain, inspected):
            run(file, 16, 2)
        for width in [int(one) for one in sys.argv[1:]] or [64, 128, 256]:
            usual = (plain(file, width, STEPS + 8) - plain(file, width, STEPS)) / 8
            few, many = inspected(file, width, STEPS), inspected(file, width, STEPS + 8)
            each = (many - few) / 8
            print(f"{width:5}  {usual:12.4f}  {each:16.4f}  {each / usual:5.2f}  {few - STEPS * each:13.2f}")


if __name__ == "__main__":
    main()
