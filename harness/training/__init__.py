"""Training scripts: run unchanged for a few steps, watched, and judged."""

from harness.training.finding import Level, TrainingFinding
from harness.training.inspecting import InspectionResult, inspect_script, inspecting

__all__ = ["InspectionResult", "Level", "TrainingFinding", "inspect_script", "inspecting"]
