"""The known mistakes, one file per component."""
