"""Somebody's torch.nn.Module as a component."""
