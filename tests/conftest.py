"""Our own tests compute with one thread: the tensors are small, and test processes share the machine."""

import sys
from pathlib import Path

import torch

torch.set_num_threads(1)
# What several tests stand on is imported by its name. (The folder of the tests itself would hide `harness`.)
sys.path += [str(Path(__file__).parent / name) for name in ("support", "tools")]
