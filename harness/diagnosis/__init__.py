"""Which known mistake gives these wrong numbers."""
