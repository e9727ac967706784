"""What is claimed of every training run, one claim in each file. Each file has a ``CLAIM``."""
