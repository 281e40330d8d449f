"""What Slicer packages and what the catalogue says: complete, and the same in CMake, JSON, s4ext and README."""

import ast
import json
import os
import re
import shutil
import struct
import subprocess
import sys

import pytest

REPOSITORY = "https://github.com/MMIFAmin/MMIFAmin"
SCHEMA_KEYS = {"$schema", "category", "scm_url", "scm_revision", "build_dependencies", "build_subdirectory", "tier"}


@pytest.fixture(scope="module")
def extension(repository):
    """The EXTENSION_* variables of the top-level CMakeLists.txt."""
    text = (repository / "CMakeLists.txt").read_text()
    return dict(re.findall(r'^set\((EXTENSION_\w+) "([^"]*)"\)', text, re.MULTILINE))


@pytest.fixture(scope="module")
def s4ext(repository):
    lines = (repository / "MMIFAmin.s4ext").read_text().splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="module")
def catalog(repository):
    return json.loads((repository / "MMIFAmin.json").read_text())


def packaged(repository, variable):
    text = (repository / "MMIFAmin" / "CMakeLists.txt").read_text()
    names = re.search(rf"set\({variable}\n(.*?)\)", text, re.DOTALL).group(1).split()
    return [name.replace("${MODULE_NAME}", "MMIFAmin") for name in names]


def tree(folder, *patterns):
    found = (path for pattern in patterns for path in folder.rglob(pattern))
    return {path for path in found if path.is_file() and "__pycache__" not in path.parts}


def test_every_script_is_packaged(repository):
    module = repository / "MMIFAmin"
    there = tree(module / "MMIFAminLib", "*.py") | {module / "MMIFAmin.py"}
    listed = packaged(repository, "MODULE_PYTHON_SCRIPTS")
    assert sorted(listed) == sorted(path.relative_to(module).as_posix() for path in there)


def test_every_resource_is_packaged(repository):
    module = repository / "MMIFAmin"
    there = tree(module / "Resources", "*") - tree(module / "Resources", "README.md")
    there |= {path for path in tree(module / "MMIFAminLib", "*") if path.suffix not in (".py", ".pyc")}
    listed = packaged(repository, "MODULE_PYTHON_RESOURCES")
    assert sorted(listed) == sorted(path.relative_to(module).as_posix() for path in there)


def imported(tree, package):
    """The full names of what a file of ``package`` (its parts) imports as it runs, anywhere in it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue  # for the type checker alone
        yield from imported(node, package)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = [*package[: len(package) + 1 - node.level]] if node.level else []
            origin += [node.module] if node.module else []
            yield from (".".join([*origin, alias.name]) for alias in node.names)


def test_rooms_of_the_engine_keep_their_borders(repository):
    users = {}
    for path in tree(repository / "MMIFAmin" / "MMIFAminLib", "*.py"):
        *_, room = package = path.relative_to(repository / "MMIFAmin").parts[:-1]
        for name in imported(ast.parse(path.read_text()), package):
            parts = name.split(".")
            users.setdefault(parts[1] if parts[0] == "MMIFAminLib" else parts[0], set()).add(room)
    assert users["slicer"] == {"module"}, "the application"
    assert users["vtk"] == {"module", "mrml"}, "nodes"
    assert users["module"] == {"module"} and users["mrml"] == {"module", "mrml"}, "the rest must run without Slicer"
    assert not {"qt", "ctk"} & set(users), "the panel alone has widgets"


def test_a_helper_beside_the_module_would_be_taken_for_a_module(repository):
    assert [path.name for path in (repository / "MMIFAmin").glob("*.py")] == ["MMIFAmin.py"]


def test_every_slicer_test_is_registered(repository):
    folder = repository / "MMIFAmin" / "Testing" / "Python"
    registered = re.findall(r"slicer_add_python_unittest\(SCRIPT (\S+)\)", (folder / "CMakeLists.txt").read_text())
    assert sorted(registered) == sorted(path.name for path in folder.glob("*.py"))
    module = (repository / "MMIFAmin" / "CMakeLists.txt").read_text()
    assert "slicer_add_python_unittest(SCRIPT ${MODULE_NAME}.py)" in module and "WITH_GENERIC_TESTS" in module


def test_what_the_module_asks_of_its_resources_is_there(repository):
    module = repository / "MMIFAmin"
    code = "".join(path.read_text() for path in tree(module, "*.py") if "Testing" not in path.parts)
    asked = {f"Icons/{name}.png" for name in re.findall(r'Sample\("(\w+)"', code)}
    asked |= set(re.findall(r'resourcePath\("([\w./]+)"\)', code))
    assert {"Icons/MMIFAminHead.png", "UI/MMIFAmin.ui"} <= asked, "the patterns no longer find what is asked for"
    listed = packaged(repository, "MODULE_PYTHON_RESOURCES")
    assert [name for name in asked if f"Resources/{name}" not in listed] == []


def test_catalog_entry_follows_the_schema(catalog):
    assert set(catalog) == SCHEMA_KEYS
    assert catalog["$schema"].endswith("/slicer-extension-catalog-entry-schema-v1.0.2.json#")
    assert isinstance(catalog["tier"], int) and 1 <= catalog["tier"] <= 5
    assert isinstance(catalog["build_dependencies"], list)


def test_descriptions_agree(extension, s4ext, catalog):
    assert s4ext["scm"] == "git"
    assert s4ext["scmurl"] == catalog["scm_url"] == REPOSITORY
    assert s4ext["scmrevision"] == catalog["scm_revision"]
    assert s4ext["build_subdirectory"] == catalog["build_subdirectory"]
    assert s4ext["depends"].split() == extension["EXTENSION_DEPENDS"].split(";") == catalog["build_dependencies"]
    assert s4ext["category"] == extension["EXTENSION_CATEGORY"] == catalog["category"]
    for key in ("homepage", "contributors", "description", "iconurl", "screenshoturls"):
        assert s4ext[key] == extension[f"EXTENSION_{key.upper()}"], key


def test_description_and_addresses(extension, repository):
    assert 1 <= extension["EXTENSION_DESCRIPTION"].count(". ") + 1 <= 2
    assert extension["EXTENSION_HOMEPAGE"].startswith(REPOSITORY)
    raw = REPOSITORY.replace("github.com", "raw.githubusercontent.com") + "/main/"
    for url in (extension["EXTENSION_ICONURL"], *extension["EXTENSION_SCREENSHOTURLS"].split()):
        assert url.startswith(raw)
        assert (repository / url.removeprefix(raw)).is_file(), url


def test_module_panel_agrees(extension, repository):
    text = (repository / "MMIFAmin" / "MMIFAmin.py").read_text()
    assert f'"{extension["EXTENSION_CATEGORY"]}"' in text
    assert extension["EXTENSION_HOMEPAGE"] in text and extension["EXTENSION_CONTRIBUTORS"] in text


def test_readme_agrees(extension, repository):
    text = (repository / "README.md").read_text()
    assert "MMIFAmin" in text and "Apache-2.0" in text and "Luo" in text
    assert re.search(r"research use only", text, re.IGNORECASE)
    assert re.search(r"!\[[^\]]*\]\([^)]+\)", text), "a picture"
    for name in extension["EXTENSION_DEPENDS"].split(";"):
        assert name in text
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
        assert (repository / target).exists(), f"README links to {target}"


@pytest.mark.parametrize("name", ["MMIFAmin/Resources/Icons/MMIFAmin.png", "Resources/MMIFAmin.png"])
def test_icons_are_128_pixels(repository, name):
    header = (repository / name).read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", header[16:24]) == (128, 128)


def test_license_and_size(repository):
    assert "Apache License" in (repository / "LICENSE.txt").read_text()
    git = shutil.which("git")
    if git is None or not (repository / ".git").exists():
        pytest.skip("not a git checkout: its size cannot be told")
    names = subprocess.run([git, "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=True).stdout
    files = [repository / name for name in names.split("\0") if name]
    assert sum(path.stat().st_size for path in files if path.is_file()) < 50e6


SLICER_STAND_IN = """
# A stand-in for an installed Slicer: the two macros only check and record what they are given.
set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/use.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/generate.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/cpack.cmake")
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(M "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  foreach(file ${M_SCRIPTS} ${M_RESOURCES})
    if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
      message(FATAL_ERROR "missing ${file}")
    endif()
  endforeach()
  file(APPEND "${CMAKE_BINARY_DIR}/record.txt" "module ${M_NAME} ${M_UNPARSED_ARGUMENTS}\\n")
endmacro()
macro(slicer_add_python_unittest)
  cmake_parse_arguments(T "" "SCRIPT" "" ${ARGN})
  if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${T_SCRIPT}")
    message(FATAL_ERROR "missing ${T_SCRIPT}")
  endif()
  file(APPEND "${CMAKE_BINARY_DIR}/record.txt" "test ${T_SCRIPT}\\n")
endmacro()
"""


def test_cmake_configures_the_extension(repository, tmp_path):
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("cmake is not installed")
    slicer, build = tmp_path / "slicer", tmp_path / "build"
    slicer.mkdir()
    (slicer / "SlicerConfig.cmake").write_text(SLICER_STAND_IN)
    for name in ("use", "generate", "cpack"):
        (slicer / f"{name}.cmake").write_text(f'file(APPEND "${{CMAKE_BINARY_DIR}}/record.txt" "{name}\\n")\n')
    command = [cmake, "-S", repository, "-B", build, f"-DSlicer_DIR={slicer}", "-DBUILD_TESTING=ON"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    record = (build / "record.txt").read_text().split("\n")
    assert record[:2] == ["use", "module MMIFAmin "] and record[-3:] == ["generate", "cpack", ""]
    assert "test MMIFAmin.py" in record and "test MMIFAminPackageTest.py" in record


@pytest.mark.parametrize("name", ["docs/tutorial.md", "docs/extension_index.md"])
def test_pages_link_to_what_is_there(repository, name):
    page = repository / name
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
    assert targets and [target for target in targets if not (page.parent / target).exists()] == []


def test_every_tutorial_picture_is_shown(repository):
    text = (repository / "docs" / "tutorial.md").read_text() + (repository / "README.md").read_text()
    pictures = [path.name for path in (repository / "Resources" / "tutorial").glob("*.png")]
    assert pictures and [name for name in pictures if f"Resources/tutorial/{name}" not in text] == []


def test_readme_pictures_also_show_on_the_package_index(repository):
    """Addresses beside the page mean nothing there; what they name is in this repository."""
    raw = REPOSITORY.replace("github.com", "raw.githubusercontent.com") + "/main/"
    pictures = re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", (repository / "README.md").read_text())
    assert pictures and all(url.startswith(raw) for url in pictures)
    assert all((repository / url.removeprefix(raw)).is_file() for url in pictures)


def test_the_package_says_who_made_it_and_where_it_lives(repository):
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    settings = tomllib.loads((repository / "pyproject.toml").read_text())
    project = settings["project"]
    assert project["authors"] == [{"name": "MMIFAmin contributors"}] and "Typing :: Typed" in project["classifiers"]
    assert all(url.startswith(REPOSITORY) for url in project["urls"].values())
    for place in (url.split("/main/")[1] for url in project["urls"].values() if "/main/" in url):
        assert (repository / place).exists(), place
    assert "py.typed" in settings["tool"]["setuptools"]["package-data"]["MMIFAminLib"]


PYTHON_STAND_IN = """#!/bin/sh
# A stand-in for Python that makes an environment of itself and notes when an installation begins and ends.
case "$*" in
*fcntl*) exec {python} "$@" ;;
*"-m venv"*) mkdir -p env/bin && cp "$0" env/bin/python ;;
*"pip install"*) echo begin >> log; sleep 1; echo end >> log ;;
*"pip --version"*) [ -e env/bin/python ] ;;
esac
"""


@pytest.mark.skipif(sys.platform == "win32", reason="make has no shell there")
def test_two_at_once_take_turns_and_the_second_finds_the_work_done(repository, tmp_path):
    (tmp_path / "Testing").mkdir()
    for name in ("pyproject.toml", "constraints.txt", "Testing/set_up.sh"):
        shutil.copy(repository / name, tmp_path / name)
        os.utime(tmp_path / name, (1e9, 1e9))
    python = tmp_path / "python"
    python.write_text(PYTHON_STAND_IN.format(python=sys.executable))
    python.chmod(0o755)
    command = ["sh", "Testing/set_up.sh", "./python", "env", "demo", "env/.ready-demo"]
    both = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert (tmp_path / "log").read_text().split() == ["begin", "end"] and (tmp_path / "env" / ".ready-demo").is_file()
    command[4:] = ["test", "env/.ready-test"]  # another set of packages waits for its turn, too, and is installed
    assert subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE).returncode == 0
    assert (tmp_path / "log").read_text().split() == ["begin", "end"] * 2
