"""Somebody's code becomes a Subject."""
