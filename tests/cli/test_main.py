"""The command `cs329t`: help that reads well, exit codes, errors in words."""

import subprocess
import sys

import pytest

from cs329t_robust.cli import doctor, main
from cs329t_robust.cli.doctor import Finding
from cs329t_robust.data import datasets, mnist_files


def test_help_is_readable_and_imports_nothing_heavy():
    script = """import sys; from cs329t_robust.cli import main as cli
try: cli.main(['--help'])
except SystemExit as end: print('exit', end.code, sorted({'torch', 'numpy', 'PIL', 'nbformat'} & set(sys.modules)))"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("exit 0 []\n"), done.stdout + done.stderr
    for part in ("doctor", "data", "examples:", "exit codes:", "CS329T_DATA", "cs329t data --repair"):
        assert part in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 100


@pytest.mark.parametrize("argv", [[], ["paint"], ["data", "--repair", "--verify"], ["data", "--get"]])
def test_wrong_usage_is_exit_code_2(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        main.main(argv)
    assert stop.value.code == 2
    assert "usage: cs329t" in capsys.readouterr().err


def test_data_verifies_by_default(capsys):
    assert main.main(["data"]) == 0
    out = capsys.readouterr().out
    assert out.count("ok    ") == 4 + len(datasets.PHOTOS)
    assert out.endswith(f"All {4 + len(datasets.PHOTOS)} files are whole\n")


def test_data_with_a_damaged_file_is_exit_code_1(tmp_path, monkeypatch, capsys):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    monkeypatch.setenv("CS329T_DATA", str(tmp_path))
    assert main.main(["data", "--verify"]) == 1
    out = capsys.readouterr().out
    assert f"FAIL  {tmp_path}/mnist/t10k-labels-idx1-ubyte.gz is damaged" in out
    assert "cs329t data --repair" in out
    assert f"1 of {4 + len(datasets.PHOTOS)} files failed" in out


def test_data_repair_says_what_it_did(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(datasets, "repair", lambda: [tmp_path / "file.gz"])
    assert main.main(["data", "--repair"]) == 0
    assert f"repaired {tmp_path}/file.gz\n" in capsys.readouterr().out


def test_data_get_reports_where_it_is_and_refuses_unknown_names(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CS329T_DATA", str(tmp_path))
    asked = []
    monkeypatch.setattr(mnist_files, "_download", lambda dataset, folder: asked.append((dataset, folder)))
    assert main.main(["data", "--get", "fashion_mnist"]) == 0
    assert asked == [("FashionMNIST", tmp_path)]
    assert capsys.readouterr().out == f"fashion_mnist is in {tmp_path}\n"
    assert main.main(["data", "--get", "svhn"]) == 1
    assert capsys.readouterr().err == (
        "cs329t data: data set: expected one of mnist, fashion_mnist, cifar10, got 'svhn'\n"
    )


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 1)])
def test_doctors_exit_code_follows_its_findings(monkeypatch, capsys, ok, code):
    monkeypatch.setattr(
        doctor, "examine", lambda: [Finding("one", True, "fine"), Finding("two", ok, "so so", "mend it")]
    )
    assert main.main(["doctor"]) == code
    assert ("fix: mend it" in capsys.readouterr().out) is not ok


def test_train_signs_refuses_options_of_the_digits(tmp_path, capsys):
    assert main.main(["train", "signs", "--eps", "0.1", "--out", str(tmp_path / "s.safetensors")]) != 0
    assert "expected no --method, --eps or --measure" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["bench", "--attack", "fgsm", "--n", "4", "--device", "toaster"], "--device: expected a device"),
        (["bench", "--attack", "fgsm", "--n", "4", "--json", "/"], "--json: expected a file in a folder that exists"),
        (["bench", "--attack", "fgsm", "--n", "4", "--json", "/no/such/out.json"], "--json: expected a file"),
        (["glasses", "--by-lot", "-1"], "--by-lot: expected a whole number >= 0, got -1"),
    ],
)
def test_what_cannot_work_is_said_before_anything_runs(argv, message, capsys):
    assert main.main(argv) == 1
    assert message in capsys.readouterr().err
