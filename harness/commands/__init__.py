"""The subcommands of ``plumbline``, one per file: each file's COMMAND says what it takes and runs it."""
