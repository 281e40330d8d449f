"""Rooms keep their borders: who may import whom, inside MMIFAminLib and from outside."""

import ast
import sys

import pytest

from MMIFAminLib import _ROOM as DOOR  # the room of what `from MMIFAminLib import` gives

# From the ground up: a room imports only rooms above its own line, and from outside only what is named there.
ROOMS = {
    "errors": (),
    "network": ("torch",),
    "volume": ("numpy", "SimpleITK", "scipy"),
    "display": ("numpy", "PIL", "matplotlib", "SimpleITK"),
    "files": ("numpy", "PIL", "SimpleITK", "pydicom", "highdicom", "nibabel"),
    "engine": ("numpy", "SimpleITK", "PIL", "torch", "safetensors"),
    "evaluation": ("numpy", "scipy", "SimpleITK"),
    "losses": ("torch", "numpy"),
    "training": ("torch", "monai", "ignite", "numpy", "scipy", "PIL", "yaml", "matplotlib"),
    "study": ("SimpleITK",),
    "cohort": ("PIL", "torch", "yaml", "distributed", "dask", "dask_jobqueue", "bids"),
    "mrml": ("numpy", "SimpleITK", "vtk", "slicer"),
    "module": ("numpy", "SimpleITK", "pydicom", "vtk", "slicer", "SampleData", "PyTorchUtils", "MMIFAmin", "packaging"),
    "commandline": ("numpy", "scipy", "SimpleITK", "rich", "torch", "nilearn"),
}
ORDER = list(ROOMS)


@pytest.fixture(scope="module")
def library(repository):
    """``{(room, file): [(full dotted name, at file level), ...]}`` of every import of the library."""
    folder = repository / "MMIFAmin" / "MMIFAminLib"
    found = {}
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder).with_suffix("").parts
        if len(parts) == 1 and parts[0] in ("__init__", "__main__"):
            continue  # the door: it may open any room
        found[parts] = list(_imports(ast.parse(path.read_text(encoding="utf-8")), parts[:-1]))
    return found


def _imports(tree, package, top=True):
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((f"{node.module}.{alias.name}", top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = ["MMIFAminLib", *package[: len(package) + 1 - node.level], *filter(None, [node.module])]
            yield from ((".".join([*origin, alias.name]), top) for alias in node.names)
        yield from _imports(node, package, top and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def test_every_room_is_in_the_table(library):
    assert {parts[0] for parts in library} == set(ROOMS)


def test_a_room_imports_only_rooms_above_it(library):
    wrong = []
    for parts, imports in library.items():
        for name, _ in imports:
            root, *inner = name.split(".")
            room = DOOR.get(inner[0], inner[0]) if root == "MMIFAminLib" and inner else None
            if room in ROOMS and ORDER.index(room) > ORDER.index(parts[0]):
                wrong.append(f"{'/'.join(parts)} imports {name}")
    assert not wrong


def test_a_room_imports_from_outside_only_what_it_may(library):
    wrong = []
    for parts, imports in library.items():
        for name, _ in imports:
            root = name.split(".")[0]
            if root != "MMIFAminLib" and root not in sys.stdlib_module_names and root not in ROOMS[parts[0]]:
                wrong.append(f"{'/'.join(parts)} imports {root}")
    assert not wrong


def test_no_two_files_import_each_other(library):
    """Not in a circle of any length either. A room's ``__init__`` stands for the files that it takes names from."""
    graph = {parts: {p for name, _ in imports if (p := _file(name, library))} for parts, imports in library.items()}
    done, path = set(), []

    def walk(parts):
        assert parts not in path, " -> ".join("/".join(p) for p in [*path[path.index(parts) :], parts])
        if parts not in done:
            path.append(parts)
            for other in sorted(graph[parts] - {parts}):
                walk(other)
            path.pop()
            done.add(parts)

    for parts in graph:
        walk(parts)


def _file(name, library):
    """The file that a dotted name lives in."""
    inner = tuple(name.split(".")[1:]) if name.startswith("MMIFAminLib.") else ()
    for length in range(len(inner), 0, -1):
        for parts in (inner[:length], (*inner[:length], "__init__")):
            if parts in library:
                return parts
    return None


def test_a_room_exports_what_other_rooms_use(library, repository):
    """But a function that is called as its file is: it would hide the file. What ``module`` holds is for the panel."""
    exported, missing = {}, set()
    for room in ROOMS:
        door = repository / "MMIFAmin" / "MMIFAminLib" / room / "__init__.py"
        tree = ast.parse(door.read_text(encoding="utf-8")) if door.exists() else ast.Module([], [])
        exported[room] = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    for parts, imports in library.items():
        for name, _ in imports:
            root, room, *inner = [*name.split("."), ""]
            if root == "MMIFAminLib" and room in ROOMS and room not in (parts[0], "errors") and len(inner) > 2:
                file, used = inner[-3:-1]
                if used not in exported[room] and used != file:
                    missing.add(f"{room}: {used} of {file}, used by {'/'.join(parts)}")
    assert not missing


def test_the_room_says_what_it_is_for_and_exports_what_it_names(repository):
    import importlib.util

    for room in ROOMS:
        if room in ("errors", "module") or (room == "mrml" and importlib.util.find_spec("slicer") is None):
            continue  # errors is a file, and what module holds is for the panel; mrml needs slicer-core
        package = importlib.import_module(f"MMIFAminLib.{room}")
        assert package.__doc__ and package.__all__, room
        assert all(hasattr(package, name) for name in package.__all__), room
