"""The nouns everything else is made of. Imports nothing of the project outside this folder."""
