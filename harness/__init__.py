"""The machine: cases, claims, verdicts, numerics, plug-in, reports. It knows no component by name."""
