"""Our own tests compute with one thread: the tensors are small, and test processes share the machine."""

import resource
import sys
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)
# What several tests stand on is imported by its name. (The folder of the tests itself would hide `harness`.)
sys.path += [str(Path(__file__).parent / name) for name in ("support", "tools")]

SLOW = (
    "test_correct_variants.py",
    "test_every_claim_has_teeth.py",
    "test_bug_catalogue.py",
    "test_styles.py",
    "test_plugin.py",
    "test_interrupts.py",
    "test_newcomer_errors.py",
    "test_hostile_words.py",
    "examples/",
    "harness/grading/",
    "harness/commands/test_watch.py",
    "harness/commands/test_init.py",
    "harness/benchmark/",
    "harness/modules/",
    "harness/discovery/",
    "harness/execution/test_timed_script.py",
    "harness/reports/formats/",
    "harness/pytest_plugin/",
    "specs/",
)
"""Files and folders of tests that take most of the time. ``tox -e quick`` leaves them out."""

SPENT = pytest.StashKey[float]()


def processor_seconds() -> float:
    """What this process and its ended children have used of the processor, in seconds."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def pytest_collection_modifyitems(items):
    """Mark what ``tox -e quick`` leaves out."""
    here = Path(__file__).parent
    for item in items:
        name = item.path.relative_to(here).as_posix() if item.path.is_relative_to(here) else ""
        if name.startswith(SLOW):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """Note where the processor's clock stood before a test and its fixtures."""
    item.stash[SPENT] = processor_seconds()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Processor seconds of each test go into --junitxml; tests/tools/code_counts.py sums them by file."""
    if call.when == "teardown":
        item.user_properties.append(("processor_seconds", f"{processor_seconds() - item.stash[SPENT]:.3f}"))
    return (yield)
