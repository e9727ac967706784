"""Hypothesis strategies for valid inputs that shrink to small readable cases."""
