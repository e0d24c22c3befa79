"""pyproject.toml, requirements.lock and environment.yml say the same; each kind of drift between them is found."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parent.parent
FILES = ("pyproject.toml", "requirements.lock", "environment.yml")
ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)( ; (?P<marker>[^\\]+))?( \\)?$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


@pytest.fixture
def texts():
    return {name: (REPOSITORY / name).read_text(encoding="utf-8") for name in FILES}


def locked(text):
    """Return the lock's entries, name to [(version, marker or None)], and what is wrong with its form."""
    entries, problems, hashes = {}, [], 1
    for line in text.splitlines():
        entry = ENTRY.match(line)
        if entry:
            if hashes == 0:
                problems.append(f"lock: no hash before {line}")
            marker = Marker(entry["marker"].strip()) if entry["marker"] else None
            entries.setdefault(canonicalize_name(entry["name"]), []).append((entry["version"], marker))
            hashes = 0
        elif HASH.match(line):
            hashes += 1
        else:
            problems.append(f"lock: unexpected line {line!r}")
    if hashes == 0:
        problems.append("lock: no hash at the end")
    return entries, problems


def for_python(entries, name, python):
    """Return the one version of a package that the lock gives to Linux with this Python, or None."""
    machine = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    versions = [version for version, marker in entries.get(name, []) if marker is None or marker.evaluate(machine)]
    return versions[0] if len(versions) == 1 else None


def drift(texts):
    """Return every disagreement between the three files, in words."""
    project = tomllib.loads(texts["pyproject.toml"])["project"]
    environment = yaml.safe_load(texts["environment.yml"])
    entries, problems = locked(texts["requirements.lock"])

    extras = project["optional-dependencies"]
    for need in map(Requirement, chain(project["dependencies"], *extras.values())):
        for version, _ in entries.get(canonicalize_name(need.name), [(None, None)]):
            if version is None or version not in need.specifier:
                problems.append(f"lock: {need} against {version}")

    pips = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    pythons = [entry for entry in environment["dependencies"] if str(entry).startswith("python=")]
    python = pythons[0].removeprefix("python=") if len(pythons) == 1 else None
    if python is None or python not in SpecifierSet(project["requires-python"]):
        problems.append(f"environment: python {pythons} against {project['requires-python']}")
    if environment["name"] != project["name"]:
        problems.append(f"environment: name {environment['name']} against {project['name']}")
    if pips[-1] != "-e .[lessons,test]" or any(line.startswith(("-", ".", "/")) for line in pips[:-1]):
        problems.append(f"environment: expected pins and then -e .[lessons,test], got {pips}")

    pinned = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in pips[:-1])}
    needs = project["dependencies"] + extras["lessons"] + extras["test"]
    direct = {canonicalize_name(Requirement(line).name) for line in needs}
    problems += [f"environment: {name} is pinned but not required" for name in sorted(pinned.keys() - direct)]
    for name in sorted(direct):
        if pinned.get(name) is None or pinned[name] != for_python(entries, name, python or "3.12"):
            problems.append(f"environment: {name} {pinned.get(name)} against the lock")

    target = tomllib.loads(texts["pyproject.toml"])["tool"]["ruff"]["target-version"]
    if SpecifierSet(project["requires-python"]) != SpecifierSet(f">=3.{target.removeprefix('py3')}"):
        problems.append(f"pyproject: requires-python {project['requires-python']} against ruff's {target}")
    return problems


def test_the_files_agree(texts):
    assert drift(texts) == []


def test_the_lock_serves_every_direct_dependency_on_every_supported_python(texts):
    entries, _ = locked(texts["requirements.lock"])
    assert len(entries) > 100
    project = tomllib.loads(texts["pyproject.toml"])["project"]
    for python in ("3.11", "3.12", "3.13", "3.14"):
        for line in chain(project["dependencies"], *project["optional-dependencies"].values()):
            assert for_python(entries, canonicalize_name(Requirement(line).name), python), (python, line)


MUTATIONS = {
    "a dependency that the lock lacks": ("pyproject.toml", '    "tqdm', '    "flask>=3.0",\n    "tqdm', "flask"),
    "a minimum above the lock": ("pyproject.toml", '"timm>=1.0.15"', '"timm>=9"', "timm>=9 against"),
    "a test tool above the lock": ("pyproject.toml", '"pytest>=8.3"', '"pytest>=99"', "pytest>=99"),
    "another minimal python": ("pyproject.toml", 'requires-python = ">=3.11"', 'requires-python = ">=3.13"', "python"),
    "an index in the lock": ("requirements.lock", "anyio==", "--index-url https://host/simple\nanyio==", "unexpected"),
    "a direct address in the lock": ("requirements.lock", "anyio==", "x @ https://host/x.whl\nanyio==", "unexpected"),
    "an entry without hash": ("requirements.lock", "anyio==", "aaa==1.0\nanyio==", "no hash before anyio"),
    "a last entry without hash": ("requirements.lock", None, "zzz==1.0\n", "no hash at the end"),
    "a short hash": ("requirements.lock", "--hash=sha256:5", "--hash=sha256:", "unexpected line"),
    "a package gone from the lock": ("requirements.lock", "\ntimm==", "\ntimmm==", "timm>=1.0.15 against None"),
    "another version in the lock": ("requirements.lock", "\ntimm==1.", "\ntimm==2.", "environment: timm"),
    "another pin": ("environment.yml", "- torch==2.", "- torch==3.", "environment: torch"),
    "a pin gone": ("environment.yml", "- nbval==", "- nbvalue==", "environment: nbval None"),
    "a pin too many": ("environment.yml", "      - -e", "      - flask==3.0\n      - -e", "flask is pinned but not"),
    "a python too old": ("environment.yml", "python=3.12", "python=3.10", "environment: python"),
    "another name": ("environment.yml", "name: cs329t-robust", "name: robust", "environment: name"),
    "another path": ("environment.yml", "-e .[lessons,test]", "-e ./src", "expected pins and then"),
    "a lock file in pip": (
        "environment.yml",
        "      - -e .",
        "      - -r requirements.lock\n      - -e .",
        "expected pins",
    ),
}


@pytest.mark.parametrize(("name", "old", "new", "problem"), MUTATIONS.values(), ids=MUTATIONS)
def test_drift_is_found(texts, name, old, new, problem):
    text = texts[name]
    assert old is None or old in text
    texts[name] = text + new if old is None else text.replace(old, new, 1)
    assert any(problem in found for found in drift(texts)), drift(texts)
