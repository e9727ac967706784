"""The implementation runs here and nowhere else."""
