"""A run's record becomes text, JSON ... One file per report; each reads a RunRecord and nothing else."""
