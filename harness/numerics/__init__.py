"""Tolerances, gradients and statistics. Each bound states why it holds."""
