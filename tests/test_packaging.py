"""What `import mor` loads, what works without optional packages, and how all of it is installed."""

from __future__ import annotations

import ast
import inspect
import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mor

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

#: What takes long to import, and what the library computes without.
HEAVY = (
    "scipy.signal",
    "scipy.io",
    "scipy.optimize",
    "scipy.stats",
    "scipy.interpolate",
    "matplotlib",
    "typer",
    "rich",
    "torch",
    "jax",
    "control",
)

#: Before a script: these packages are missing.
WITHOUT = "import sys; sys.modules.update(dict.fromkeys({packages}))\n"


def run(code, *arguments):
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)


def loaded_by(code):
    told = run(f"{code}\nimport sys; print(*sys.modules)")
    assert told.returncode == 0, told.stderr
    return set(told.stdout.split())


def test_the_import_loads_nothing_that_is_not_used():
    loaded = loaded_by("import mor")
    assert not loaded & {*HEAVY, "scipy", "safetensors"}
    assert {name for name in loaded if name.startswith("mor.")} == {"mor.version"}


def test_the_command_loads_nothing_before_it_is_told_what_to_do():
    loaded = loaded_by("import mor.cli")
    assert not loaded & {"numpy", "scipy", "matplotlib", "safetensors"}


@pytest.mark.slow
def test_a_reduction_loads_nothing_heavy():
    loaded = loaded_by(
        "import mor; mor.balanced_truncation(([[-1, 0], [0, -5]], [[1], [1]], [[1, 1]]), order=1)"
    )
    assert "scipy.linalg" in loaded
    assert not loaded & {*HEAVY, "safetensors", "mor.adapters"}


@pytest.mark.slow
def test_the_library_needs_no_package_of_an_extra():
    code = WITHOUT.format(packages=["typer", "rich", "matplotlib"])
    code += """
import mor, mor.report
rom = mor.balanced_truncation(([[-1, 0], [0, -5]], [[1], [1]], [[1, 1]]), order=1)
try:
    mor.report.plot_hsv(rom)
except mor.errors.MissingDependencyError as error:
    print(error)
"""
    told = run(code)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == "plots need matplotlib: pip install matplotlib.\n"


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_the_command_says_what_it_needs(package):
    code = WITHOUT.format(packages=[package]) + "from mor.__main__ import main; main()"
    told = run(code, "--help")
    assert told.returncode == 8
    assert told.stdout == ""
    assert told.stderr.startswith("MissingDependencyError: ")
    assert told.stderr.endswith("pip install typer rich.\n")


def test_without_matplotlib_a_plot_is_drawn_if_asked_for_only(tmp_path):
    mor.save(tmp_path / "full.npz", ([[-1, 0], [0, -5]], [[1], [1]], [[1, 1]]))
    code = WITHOUT.format(packages=["matplotlib"]) + "from mor.__main__ import main; main()"
    arguments = ("reduce", str(tmp_path / "full.npz"), str(tmp_path / "rom.npz"), "--order", "1")
    told = run(code, *arguments)
    assert (told.returncode, told.stderr) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == {"full.npz", "rom.npz"}
    told = run(code, *arguments, "--force", "--plot", str(tmp_path / "rom.png"))
    assert (told.returncode, told.stdout) == (8, "")
    assert told.stderr.endswith("plots need matplotlib: pip install matplotlib.\n")


def test_public_names_are_what_type_checkers_see():
    tree = ast.parse(inspect.getsource(mor))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == mor._DEFINED_IN
    assert mor.__all__ == sorted(seen)


@pytest.mark.slow
def test_names_behave_as_if_they_had_been_imported():
    scope: dict[str, object] = {}
    exec("from mor import *", scope)
    assert set(mor.__all__) <= set(scope) & set(dir(mor))
    assert pickle.loads(pickle.dumps(mor.balanced_truncation)) is mor.balanced_truncation
    with pytest.raises(AttributeError, match="module 'mor' has no attribute 'balanced'"):
        mor.balanced  # noqa: B018


def test_no_name_is_a_module_too():
    """Importing a submodule would put it in the place of the name."""
    modules = {path.stem for path in (ROOT / "mor").iterdir()}
    assert not modules & set(mor.__all__)
    assert set(mor._SUBMODULES) <= modules


@pytest.mark.slow
@pytest.mark.parametrize("name", mor._SUBMODULES)
def test_submodules_need_no_import_of_their_own(name):
    told = run(f"import mor; print(mor.{name}.__name__)")
    assert told.stdout == f"mor.{name}\n"


def test_extras_bring_what_they_say():
    extras = PROJECT["optional-dependencies"]
    assert {"cli", "plot"} <= set(re.findall(r"\w+", extras["all"][0].partition("[")[2]))
    core = " ".join(PROJECT["dependencies"])
    assert not re.search("typer|rich|matplotlib", core)


def texts():
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "Makefile", ROOT / "mkdocs.yml"]
    for pattern in ("docs/**/*.md", "benchmarks/**/*", "mor/**/*.py", "tests/**/*.md"):
        pages += (path for path in ROOT.glob(pattern) if path.suffix in (".md", ".py"))
    return sorted(pages)


#: ``mor`` on the package index is somebody else's: no "pip install mor", no "pip install -U 'mor[cli]'".
FOREIGN = re.compile(
    r"\b(?:pip3?|pipx|uvx?|conda|mamba|poetry)\b[^\n`;&|]*[\s\"'=](mor)(?=[\s\"'`\[=<>~!.,;)]|$)", re.M
)


def test_nothing_leads_to_the_package_of_that_name():
    assert PROJECT["name"] == "mor-toolkit"
    for path in texts():
        found = FOREIGN.search(path.read_text())
        assert not found, (path, found and found.group())


@pytest.mark.parametrize(
    "text",
    ["pip install mor", "`pip install 'mor[cli]'`", "pip install -U numpy mor", "pip install mor~=1"],
)
def test_that_test_sees_what_leads_there(text):
    assert FOREIGN.search(text)


@pytest.mark.parametrize(
    "text", ["pip install .", "pip install mor-toolkit", "pip install '.[cli]'; mor demo"]
)
def test_that_test_lets_pass_what_does_not(text):
    assert not FOREIGN.search(text)
