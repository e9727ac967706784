"""Experiments on a training run while it goes, one in each file. Each file has a ``PROBE``."""
