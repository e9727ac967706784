"""Their code runs here and nowhere else."""
