"""Loads Plumbline's pytest plug-in where it is not installed. Nothing else."""

pytest_plugins = ["plumbline"]
