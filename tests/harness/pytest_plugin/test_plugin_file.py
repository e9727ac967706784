"""``plugin.py`` holds pytest's hooks and nothing else."""

import inspect

from _pytest import hookspec

from harness.pytest_plugin import plugin


def test_every_method_of_the_plugin_is_a_hook() -> None:
    """Known to pytest, or to xdist (which may be absent)."""
    xdist = {"pytest_configure_node", "pytest_xdist_node_collection_finished"}
    methods = {name for name, value in vars(plugin.Plugin).items() if callable(value) or isinstance(value, property)}
    assert len(methods) > 10
    assert methods - {"__init__"} <= {name for name in vars(hookspec) if name.startswith("pytest_")} | xdist


def test_the_file_defines_the_plugin_alone() -> None:
    """No helper stands beside it."""
    own = [
        name
        for name, value in vars(plugin).items()
        if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == plugin.__name__
    ]
    assert own == ["Plugin"]
