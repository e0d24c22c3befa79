"""Versions are compared without the package packaging, and as it would."""

import tomllib
from importlib.metadata import PackageNotFoundError
from itertools import product
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from cs329t_robust.cli import requirements
from cs329t_robust.cli.requirements import serves

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
VERSIONS = ["2.11", "2.11.0", "2.14.1+cu130", "2.15.0.dev20261101", "2.9.9", "3", "2.0", "0.9.7.post1", "10.0"]
WANTED = [">=2.11", ">=2", ">=2.0", ">=0.9.6", "==2.11.0"]


@pytest.mark.parametrize(("came", "wanted"), list(product(VERSIONS, WANTED)))
def test_as_packaging_does(came, wanted):
    assert serves(came, wanted) is SpecifierSet(wanted).contains(came, prereleases=True)


def test_no_version_is_told():
    with pytest.raises(ValueError, match=r"expected numbers such as 1.2.0, got 'unknown'"):
        serves("unknown", ">=1.0")


def metadata(extras):
    """Return lines as setuptools writes them."""
    lines = list(PROJECT["dependencies"])
    return lines + [f'{line}; extra == "{name}"' for name in extras for line in PROJECT["optional-dependencies"][name]]


def test_what_the_project_requires_is_read(monkeypatch):
    monkeypatch.setattr(requirements, "requires", lambda name: metadata(["lessons", "test", "browser"]))
    found = requirements.requirements("x")
    needs = {"": PROJECT["dependencies"], "lessons": PROJECT["optional-dependencies"]["lessons"]}
    assert found == {
        need.name: (str(need.specifier), extra) for extra, lines in needs.items() for need in map(Requirement, lines)
    }


@pytest.mark.parametrize("line", ["torch", "torch>=2,<3", "torch~=2.0", 'torch>=2; python_version < "3.12"'])
def test_another_form_is_told(monkeypatch, line):
    monkeypatch.setattr(requirements, "requires", lambda name: [line])
    with pytest.raises(ValueError, match=r"x: expected requirements such as torch>=2.11, got"):
        requirements.requirements("x")


def test_a_package_that_is_not_installed_is_no_empty_list():
    with pytest.raises(PackageNotFoundError):
        requirements.requirements("no-such-package-anywhere")
