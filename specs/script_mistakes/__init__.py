"""Known mistakes of training scripts, by what they break. Each is an edit of one script of ``specs/scripts``."""
