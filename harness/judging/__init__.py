"""One implementation beside the reference: cases, trials, verdicts."""
