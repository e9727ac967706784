"""bitsandbytes' AdamW, its state in 32 bits and in 8.  pytest --impl=examples/bitsandbytes_adamw.py"""

from bitsandbytes import optim

# Assigned, not imported: what a file only imports from another package is not checked as its own.
AdamW, AdamW8bit = optim.AdamW32bit, optim.AdamW8bit

DRIFTS = "on the CPU, 0.50.2 keeps 0 as 2.1e-5 of the block's largest: numbers without a gradient drift"
PLUMBLINE = {"expected": {"adamw_8bit::idle_entries_never_move": DRIFTS}}
