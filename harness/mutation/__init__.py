"""Mutants: small changes of the reference that are made mechanically, to see whether the checks notice them."""
