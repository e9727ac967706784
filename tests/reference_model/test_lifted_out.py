"""reference_model knows nothing else of the project, and its functions stand on their own."""

import ast
import inspect
import sys
from pathlib import Path

import pytest
import torch

import reference_model

FILES = sorted(Path(reference_model.__file__).parent.glob("*.py"))
COMPONENTS = [name for name in reference_model.__all__ if name.islower()]
FOREIGN = {"torch", "regex"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_imports_nothing_else_of_the_project(file):
    """Only the standard library, torch, regex, and itself."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            root = name.split(".")[0]
            assert root == "reference_model" or root in FOREIGN or root in sys.stdlib_module_names, name


@pytest.mark.parametrize("name", COMPONENTS)
def test_is_the_function_and_not_the_file(name):
    """`reference_model.gelu` can be called although there is a file of that name, and says what it is."""
    component = getattr(reference_model, name)
    assert callable(component)
    assert component.__doc__
    methods = [] if inspect.isfunction(component) else filter(inspect.isfunction, vars(component).values())
    assert all(method.__doc__ for method in methods if method.__name__ != "__init__")


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_line_is_unique_and_nothing_is_closed_over(name):
    """A mistake is an edit of one line of a function, so no line may occur twice in one; nor may cells be needed."""
    component = getattr(reference_model, name)
    functions = [component] if inspect.isfunction(component) else vars(component).values()
    for function in filter(inspect.isfunction, functions):
        body = inspect.getsource(function).replace(function.__doc__ or "\0", "").splitlines()
        lines = [line.strip() for line in body if line.strip() not in ("", "return")]
        repeated = {line for line in lines if lines.count(line) > 1}
        assert not repeated, f"{name}.{function.__name__}: {repeated}"
        assert not function.__closure__


def test_works_on_the_device_of_its_arguments():
    """No tensor is made anywhere but where the arguments are: the meta device would refuse to mix."""
    x = torch.ones(2, 3, 12, device="meta")
    qkv_weight, out_weight = torch.ones(36, 12, device="meta"), torch.ones(12, 12, device="meta")
    assert reference_model.attention(x, qkv_weight, None, out_weight, None, 3).device.type == "meta"
    assert reference_model.layer_norm(x, None, None, 1e-5).device.type == "meta"
    assert reference_model.softmax(x, -1).device.type == "meta"
    assert reference_model.gelu(x).device.type == "meta"
