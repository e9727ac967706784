"""Our own tests compute with one thread: the tensors are small, and test processes share the machine."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)
if "PLUMBLINE_CACHE" not in os.environ:  # no test uses what an earlier run, or another person, has kept
    os.environ["PLUMBLINE_CACHE"] = tempfile.mkdtemp(prefix="plumbline-cache-")
    atexit.register(shutil.rmtree, os.environ["PLUMBLINE_CACHE"], ignore_errors=True)
# What several tests stand on is imported by its name. (The folder of the tests itself would hide `harness`.)
sys.path += [str(Path(__file__).parent / name) for name in ("support", "tools")]

from support_runs import Runs, processor_seconds, seconds_of_runs, shared_runs  # noqa: E402

SLOW = (
    "test_correct_variants.py",
    "test_every_claim_has_teeth.py",
    "test_bug_catalogue.py",
    "test_styles.py",
    "test_style_table.py",
    "test_style_truth.py",
    "test_style_mistakes.py",
    "test_published_models.py",
    "test_published_forms.py",
    "test_packages.py",
    "test_plugin.py",
    "test_interrupts.py",
    "test_newcomer_errors.py",
    "test_hostile_words.py",
    "examples/",
    "harness/grading/",
    "harness/isolation/",
    "hostile/",
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


@pytest.fixture(scope="session")
def runs() -> Runs:
    """Runs of pytest and of the command line, as a person would start them; torch is imported once for all of them."""
    return shared_runs()


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
    item.stash[SPENT] = processor_seconds() + seconds_of_runs()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Processor seconds of each test go into --junitxml; tests/tools/code_counts.py sums them by file."""
    if call.when == "teardown":
        spent = processor_seconds() + seconds_of_runs() - item.stash[SPENT]
        item.user_properties.append(("processor_seconds", f"{spent:.3f}"))
    return (yield)
