"""bitsandbytes' AdamW, its state in 32 bits and in 8.  pytest --impl=examples/bitsandbytes_adamw.py"""

from bitsandbytes.optim import AdamW8bit as AdamW8bit
from bitsandbytes.optim import AdamW32bit as AdamW

__all__ = ["AdamW", "AdamW8bit"]
