"""The wheel in an environment that has torch and little else: the core works, and all else says what it lacks."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parent.parent
CORE = ("torch", "torchvision", "numpy", "scipy", "safetensors", "tqdm")
EXTRA = "which comes with the extra: pip install 'cs329t-robust[lessons]'"
pytestmark = pytest.mark.slow

SETTING = """
import torch
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 5))
x = torch.rand(16, 3, 8, 8)
y = model(x).argmax(1)
"""
# README's example stands between SETTING and this
AFTER = """
import importlib, json, pkgutil
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
import cs329t_robust
from cs329t_robust import checkpoints, data, explanation, models, perception
from cs329t_robust.cli import main
held = {"distance": float((x_adv - x).abs().max()), "robust": float(robust_accuracy(model, x, y, pgd, L2(0.5)))}

def told(call):
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def ran(words):
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = main.main(words)
    return code, out.getvalue(), err.getvalue()

modules = [module.name for module in pkgutil.walk_packages(cs329t_robust.__path__, "cs329t_robust.", lambda name: None)]
problems = {name: told(lambda: importlib.import_module(name)) for name in modules if not name.endswith("__main__")}
calls = {
    "plots": lambda: importlib.import_module("cs329t_robust.plots"),
    "from plots": lambda: exec("from cs329t_robust import plots"),
    "from widgets": lambda: exec("from cs329t_robust.widgets import EpsilonExplorer"),
    "ssim": lambda: perception.ssim(torch.rand(1, 1, 28, 28), torch.rand(1, 1, 28, 28)),
    "transport": lambda: perception.transport(torch.rand(1, 1, 4, 4), torch.rand(1, 1, 4, 4)),
    "integrated_gradients": lambda: explanation.integrated_gradients(model, x, y),
    "imagenet_classifier": models.imagenet_classifier,
    "imagenet_classes": models.imagenet_classes,
    "photo": lambda: data.photo("cat"),
    "signs": lambda: data.signs.signs(12, seed=0),
    "mnist": data.mnist,
    "mnist_classifier": models.mnist_classifier,
    "sign_classifier": models.sign_classifier,
    "small_dense": models.small_dense,
    "generalization": checkpoints.shipped,
    "patch": checkpoints.shipped_patch,
    "glasses": checkpoints.shipped_glasses,
    "targets": checkpoints.shipped_targets,
}
commands = [["lessons"], ["grade", ".", "--out", "no"], ["release", "--out", "no"], ["claims", "--list"], ["data"]]
found = {"held": held, "problems": problems, "told": {name: told(call) for name, call in calls.items()}}
print(json.dumps(found | {"commands": {words[0]: ran(words) for words in commands}}))
"""


def closure(names):
    """Return the distributions of `names` and of all that they need here, by name."""
    found, waiting = {}, list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in found:
            found[name] = distribution(name)
            needs = map(Requirement, found[name].requires or [])
            waiting += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return found


def share(distributions, site):
    """Link the files of these distributions into the folder `site`."""
    for found in distributions:
        for top in {file.parts[0] for file in found.files or []} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(found.locate_file(top)))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel, made of the source distribution as `python -m build` does, from the files that git would have."""
    home = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, home / name)
    shutil.copytree(REPOSITORY / "cs329t_robust", home / "cs329t_robust", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", home / "dist", home]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (wheel,) = (home / "dist").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def environment(built, tmp_path_factory):
    """The bin folder of a virtual environment with the wheel, and of our packages only the core's."""
    home = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    site = subprocess.run(
        [home / "bin" / "python", "-c", "import site; print(site.getsitepackages()[0])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    share(closure(CORE).values(), Path(site))
    pip = [sys.executable, "-m", "pip", "--python", home / "bin" / "python"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", built], check=True, cwd=home)
    return home / "bin"


def run(environment, *command):
    """Run a command of the environment, in a folder that holds nothing of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CS329T"))}
    program, *words = command
    return subprocess.run(
        [environment / program, *words], capture_output=True, text=True, check=False, cwd=environment, env=kept
    )


@pytest.fixture(scope="module")
def told(environment):
    """What README's example gives there, which modules cannot be imported, and what is said by what needs more."""
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    example = re.search(r"## The attacks, without the lessons.*?```python\n(.*?)```", readme, flags=re.DOTALL)[1]
    done = run(environment, "python", "-c", SETTING + example + AFTER)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_wheel_holds_the_packages_data(built):
    with zipfile.ZipFile(built) as archive:
        names = set(archive.namelist())
        metadata = archive.read("cs329t_robust-0.1.0.dist-info/METADATA").decode()
    needs = map(Requirement, re.findall(r"^Requires-Dist: (.*)$", metadata, flags=re.MULTILINE))
    assert {need.name for need in needs if need.marker is None} == set(CORE)
    folders = [("widgets/static", "*"), ("lessons/templates", "*"), (".", "py.typed"), (".", "**/*.py")]
    package = REPOSITORY / "cs329t_robust"
    ours = {path for folder, pattern in folders for path in (package / folder).glob(pattern) if path.is_file()}
    assert len(ours) > 150
    assert {path.resolve().relative_to(REPOSITORY).as_posix() for path in ours} <= names
    assert {name.partition("/")[0] for name in names} == {"cs329t_robust", "cs329t_robust-0.1.0.dist-info"}


def test_the_environment_has_no_package_of_the_extra(environment):
    script = "from importlib.util import find_spec; from cs329t_robust.runtime.extras import LESSONS"
    script += "; print([name for name in LESSONS if find_spec(name)])"
    assert run(environment, "python", "-c", script).stdout == "[]\n"
    assert run(environment, "python", "-c", "import packaging").returncode == 1


def test_the_readmes_example_runs(told):
    assert 0 < told["held"]["distance"] <= 8 / 255 + 1e-6
    assert told["held"]["robust"] < 1


def test_every_room_of_the_core_is_imported_whole(told):
    rooms = {name.split(".")[1] for name, problem in told["problems"].items() if problem}
    assert rooms == {"plots", "widgets", "lessons", "grading", "claims"}
    for name, problem in told["problems"].items():
        assert problem is None or (problem.startswith("MissingExtra: cs329t_robust.") and EXTRA in problem), name
    assert len(told["problems"]) > 150


@pytest.mark.parametrize(
    ("name", "says"),
    {
        "plots": "cs329t_robust.plots needs the package matplotlib",
        "from plots": "cs329t_robust.plots needs the package matplotlib",
        "from widgets": "cs329t_robust.widgets needs the package anywidget",
        "ssim": "ssim needs the package torchmetrics",
        "transport": "transport needs the package pot",
        "integrated_gradients": "integrated_gradients needs the package captum",
        "imagenet_classifier": "imagenet_classifier needs the package timm",
        "imagenet_classes": "imagenet_classes needs the package timm",
        "photo": "a photograph needs the package scikit-image",
        "signs": "the lettering of the road signs needs the package matplotlib",
    }.items(),
)
def test_what_needs_the_extra_says_so(told, name, says):
    assert told["told"][name] == f"MissingExtra: {says}, {EXTRA}"


@pytest.mark.parametrize(
    "name",
    ["mnist", "mnist_classifier", "sign_classifier", "small_dense", "generalization", "patch", "glasses", "targets"],
)
def test_what_needs_data_says_how_to_get_them(told, name):
    assert told["told"][name].startswith("DataError: ")
    assert "export CS329T_DATA=/path/to/a/clone/of/the/repository/data" in told["told"][name]
    assert "; cs329t " in told["told"][name].splitlines()[-1]


def test_the_command_line_says_so_too(environment, told):
    done = run(environment, "cs329t", "--help")
    assert done.returncode == 0
    assert "doctor" in done.stdout
    done = run(environment, "cs329t", "status")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"cs329t status: cs329t_robust.lessons needs the package jupytext, {EXTRA}\n"
    for command in ("lessons", "grade", "release", "claims"):
        code, out, err = told["commands"][command]
        assert (code, out) == (1, "")
        assert re.fullmatch(rf"cs329t {command}: cs329t_robust\.\S+ needs the package \S+, {re.escape(EXTRA)}\n", err)


def test_the_data_command_says_which_files_are_not_there(told):
    code, out, err = told["commands"]["data"]
    assert (code, err) == (1, "")
    assert out.count("FAIL  mnist/") == 4
    assert out.count(f"FAIL  a photograph needs the package scikit-image, {EXTRA}\n") == 7
    assert out.endswith("12 of 12 files failed\n")


def test_the_doctor_says_what_is_missing_and_how_to_mend_it(environment):
    done = run(environment, "cs329t", "doctor")
    assert done.returncode == 1
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    for name in ("python", "torch", "torchvision", "device", "threads", "lessons"):
        assert any(re.match(rf"{name} +ok ", line) for line in lines), done.stdout
    for name in ("jupyterlab", "other packages", "photographs", "ImageNet weights", "kernel", "widget front end"):
        (at,) = [i for i, line in enumerate(lines) if re.match(rf"{name} +FAIL ", line)]
        assert re.fullmatch(r" +fix: \S+ -m pip install 'cs329t-robust\[lessons\]'", lines[at + 1]), lines[at + 1]
    (at,) = [i for i, line in enumerate(lines) if re.match(r"MNIST +FAIL  no data folder", line)]
    assert "fix: mkdir -p my-data" in lines[at + 1]
