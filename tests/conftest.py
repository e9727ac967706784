"""Our own tests compute with one thread: the tensors are small, and test processes share the machine."""

import sys
from pathlib import Path

import torch

torch.set_num_threads(1)
# What several tests stand on (support_*.py) is imported by its name.
sys.path.append(str(Path(__file__).parent))
