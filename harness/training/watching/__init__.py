"""What of torch is watched, one concern in each file. Each file has a ``WATCHER``."""
