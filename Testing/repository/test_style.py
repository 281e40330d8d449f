"""What the style asks for and ruff does not look at: types of public parameters, and files that can be read at once."""

import ast
import shutil
import subprocess

import pytest


def _public(tree):
    """The public functions and methods of a file; what stands inside a function is not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public(node)
        elif isinstance(node, ast.FunctionDef) and (node.name == "__init__" or not node.name.startswith("_")):
            yield node


def _untyped(function):
    """The parameters of a function that have no type."""
    given = function.args
    every = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    return [a.arg for a in every if a is not None and a.annotation is None and a.arg not in ("self", "cls")]


def test_public_functions_name_the_types_of_their_parameters(repository):
    module, functions = repository / "MMIFAmin", []
    for path in [module / "MMIFAmin.py", *(module / "MMIFAminLib").rglob("*.py")]:
        for function in _public(ast.parse(path.read_text(encoding="utf-8"))):
            functions.append((f"{path.relative_to(module)}: {function.name}", _untyped(function)))
    assert len(functions) > 500, "the functions are no longer found"
    assert [f"{name}({', '.join(untyped)})" for name, untyped in functions if untyped] == []


def test_no_file_is_longer_than_400_lines(repository):
    git = shutil.which("git")
    if git is None or not (repository / ".git").exists():
        pytest.skip("not a git checkout: its files cannot be told from what lies about")
    command = [git, "ls-files", "-z", "*.py"]
    names = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout
    files = [repository / name for name in names.split("\0") if name]
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in files if path.is_file()}
    assert {name: length for name, length in lengths.items() if length > 400} == {}
