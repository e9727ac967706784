"""The faces of a run: pure converters from its record, one format a file. The folder is the registry."""
