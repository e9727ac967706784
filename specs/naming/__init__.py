"""How published projects name parameters, sizes, functions and methods. Data only."""
