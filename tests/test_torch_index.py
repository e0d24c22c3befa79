"""make's TORCH_INDEX: PyTorch comes from another index, the rest by the lock's hashes, and nothing of CUDA at all."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pip
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PYTHON = ".venv/bin/python"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not all(map(shutil.which, ("make", "bash", "awk", "sed"))), reason="needs make and a shell"),
]


def wheel(folder, name, version, needs=()):
    """Write a wheel that holds nothing but its name, and return its SHA-256."""
    info = f"{name}-{version}.dist-info"
    texts = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {need}\n" for need in needs),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{info}/RECORD,,"]
    for path, text in texts.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record.append(f"{path},sha256={digest},{len(text.encode())}")
    texts[f"{info}/RECORD"] = "\n".join(record) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in texts.items():
            archive.writestr(path, text)
    return hashlib.sha256(file.read_bytes()).hexdigest()


def index(folder):
    """Make the folder of wheels an index as PEP 503 has it, and return its address."""
    for file in list(folder.glob("*.whl")):
        home = folder / "simple" / file.name.partition("-")[0]
        home.mkdir(parents=True, exist_ok=True)
        links = [*home.glob("*.whl"), Path(shutil.move(file, home / file.name))]
        (home / "index.html").write_text("".join(f'<a href="{link.name}">{link.name}</a>\n' for link in links))
    return (folder / "simple").as_uri()


@pytest.fixture
def project(tmp_path):
    """A folder with our Makefile, an empty environment, and a lock like ours: CUDA's packages, torch, and one more."""
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / ".venv"], check=True)
    site = "import site; print(site.getsitepackages()[0])"
    done = subprocess.run([tmp_path / PYTHON, "-c", site], capture_output=True, text=True, check=True)
    (Path(done.stdout.strip()) / "pip").symlink_to(Path(pip.__file__).parent)  # ours: a copy would take seconds
    rest = wheel(tmp_path / "pypi", "small", "1.0", needs=["torch>=2"])
    nothing = "0" * 64
    entries = {
        "cuda-toolkit==13.0 ; sys_platform == 'linux'": nothing,
        "nvidia-cublas==13.1 ; sys_platform == 'linux'": nothing,
        "small==1.0": rest,
        "torch==2.14.1": nothing,
        "torchvision==0.29.1": nothing,
        "triton==3.8.0 ; python_full_version < '3.15' and sys_platform == 'linux'": nothing,
    }
    lines = [
        f"{pin} \\\n    --hash=sha256:{digest} \\\n    --hash=sha256:{nothing}\n" for pin, digest in entries.items()
    ]
    (tmp_path / "requirements.lock").write_text("".join(lines))
    return tmp_path


def environment(project):
    """Let pip see the folder that stands for PyPI, and no setting of this machine."""
    ours = ("PIP_", "PYTHON", "MAKE", "TORCH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index(project / "pypi")}


def packages_step(project, *settings, **variables):
    """Run the commands of make's set-up that install packages, as make prints them, with the real pip."""
    env = environment(project) | variables
    command = ["make", "-n", ".venv/.set-up", *settings]
    told = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=True).stdout.splitlines()
    begin = max(at for at, line in enumerate(told) if line == "fi")  # the environment is made
    end = next(at for at, line in enumerate(told) if "--no-build-isolation" in line)  # what follows is our package
    script = "\n".join(told[begin + 1 : end])
    shell = ["bash", "-euo", "pipefail", "-c", script]
    return script, subprocess.run(shell, cwd=project, env=env, capture_output=True, text=True, check=False)


def installed(project):
    freeze = [project / PYTHON, "-m", "pip", "freeze", "--all"]
    listed = subprocess.run(freeze, capture_output=True, text=True, check=True)
    return set(listed.stdout.split())


@pytest.mark.parametrize("way", ["argument", "environment"])
def test_torch_comes_from_there_and_the_rest_by_its_hash(project, way):
    for name, version in (("torch", "2.14.1+cpu"), ("torch", "2.15.0+cpu"), ("torchvision", "0.29.1+cpu")):
        wheel(project / "cpu", name, version, needs=["nvidia-cublas"] if name == "torch" else ["torch"])
    address = index(project / "cpu")
    given = ([f"TORCH_INDEX={address}"], {}) if way == "argument" else ([], {"TORCH_INDEX": address})
    script, done = packages_step(project, *given[0], **given[1])
    assert done.returncode == 0, script + done.stdout + done.stderr
    assert installed(project) == {"small==1.0", "torch==2.14.1+cpu", "torchvision==0.29.1+cpu"}
    again, done = packages_step(project)  # a later set-up remembers it
    assert again == script
    assert done.returncode == 0, done.stderr


def test_an_index_without_the_locks_version_is_refused(project):
    for name in ("torch", "torchvision"):
        wheel(project / "cpu", name, "1.0+cpu")
    _, done = packages_step(project, f"TORCH_INDEX={index(project / 'cpu')}")
    assert done.returncode != 0
    assert "torch==2.14.1" in done.stderr
    assert installed(project) == set()


def test_a_file_with_another_hash_is_refused(project):
    wheel(project / "cpu", "torch", "2.14.1")
    wheel(project / "cpu", "torchvision", "0.29.1")
    (project / "pypi" / "simple" / "small" / "small-1.0-py3-none-any.whl").unlink(missing_ok=True)
    wheel(project / "pypi", "small", "1.0", needs=["torch>=3"])
    _, done = packages_step(project, f"TORCH_INDEX={index(project / 'cpu')}")
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr


def test_without_it_all_is_the_locks(project):
    script, _ = packages_step(project)
    assert script == ".venv/bin/python -m pip install --require-hashes -r requirements.lock"


def test_our_own_lock_loses_what_belongs_to_cuda_and_nothing_else(project):
    shutil.copy(REPOSITORY / "requirements.lock", project)
    script, _ = packages_step(project, "TORCH_INDEX=file:///nowhere")
    (filtering,) = [line for line in script.splitlines() if line.startswith("awk ")]
    subprocess.run(["bash", "-c", filtering], cwd=project, check=True)
    before, after = (
        [line.partition("==")[0] for line in (project / name).read_text().splitlines() if not line.startswith(" ")]
        for name in ("requirements.lock", ".venv/.rest.lock")
    )
    gone = [name for name in before if name not in after]
    assert {"torch", "torchvision", "triton", "nvidia-cublas", "cuda-toolkit"} <= set(gone)
    assert all(name in ("torch", "torchvision", "triton") or name.startswith(("nvidia-", "cuda-")) for name in gone)
    assert "torchmetrics" in after
    pins = subprocess.run(
        ["bash", "-c", "sed -nE 's/^((torch|torchvision)==[^ ]+).*/\\1/p' requirements.lock"],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert [pin.partition("==")[0] for pin in pins] == ["torch", "torchvision"]
