"""Our own tests compute with one thread: the tensors are small, and test processes share the machine."""

import torch

torch.set_num_threads(1)
