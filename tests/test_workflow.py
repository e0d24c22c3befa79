"""The workflow for GitHub runs the README's two commands on the Pythons that the project names; its checks can fail."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

REPOSITORY = Path(__file__).resolve().parent.parent
WORKFLOW = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "workbook.yml").read_text(encoding="utf-8"))
(JOB,) = WORKFLOW["jobs"].values()
STEPS = JOB["steps"]
RUNS = [step["run"] for step in STEPS if "run" in step]
SMOKE = next(run for run in RUNS if "make lab" in run)
SERVER = """#!{python}
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({status} if "lessons/00_start_here.ipynb" in self.path and "token=" in self.path else 500)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", {port}), Answer).serve_forever()
"""


def test_it_runs_the_readmes_two_commands_and_the_browser_tests():
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    block = re.search(r"## Two commands.*?```sh\n(.*?)```", readme, flags=re.DOTALL)[1]
    told = [line.split("#")[0].strip() for line in block.splitlines()]
    assert told == ["make lab", "make test"]
    assert re.findall(r"^(?:setsid )?(make [a-z-]+)", "\n".join(RUNS), flags=re.MULTILINE) == [
        "make test",
        "make lab",
        "make browser-test",
    ]
    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {"lab", "test", "browser-test"} <= set(targets)


def test_the_lesson_that_the_smoke_test_asks_for_exists():
    (asked,) = re.findall(r"api/contents/(\S+?)\?", SMOKE)
    assert (REPOSITORY / asked).is_file()


def test_actions_are_pinned_and_the_workflow_may_only_read():
    actions = [step["uses"] for step in STEPS if "uses" in step]
    assert len(actions) == 2
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+(\.\d+)*", action) for action in actions)
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert JOB["runs-on"] == "ubuntu-24.04"  # a version, not "latest"
    assert JOB["timeout-minutes"] <= 90


def test_the_pythons_are_those_that_the_project_allows():
    allowed = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    pythons = JOB["strategy"]["matrix"]["python"]
    assert all(isinstance(python, str) and python in SpecifierSet(allowed) for python in pythons)
    assert SpecifierSet(allowed) == SpecifierSet(f">={pythons[0]}"), "the oldest comes first"
    (setup,) = [step for step in STEPS if step.get("uses", "").startswith("actions/setup-python")]
    assert setup["with"]["python-version"] == "${{ matrix.python }}"


def smoke(folder, make, seconds):
    """Run the step that opens the lab, with another program in the place of make; return its exit code."""
    script = re.sub(r"seq \d+", f"seq {seconds}", SMOKE)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "make").write_text(make.replace("{port}", str(port)), encoding="utf-8")
    (folder / "make").chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    command = ["bash", "-e", "-c", script.replace("9999", str(port))]
    return subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False).returncode


@pytest.mark.skipif(not all(map(shutil.which, ("bash", "curl", "setsid"))), reason="needs bash, curl and setsid")
@pytest.mark.parametrize(
    ("make", "ok"),
    [
        (SERVER.replace("{python}", sys.executable).replace("{status}", "200"), True),
        (SERVER.replace("{python}", sys.executable).replace("{status}", "404"), False),
        ("#!/bin/sh\nexit 2\n", False),
    ],
    ids=["opens", "opens without the lesson", "stops at once"],
)
def test_the_smoke_test_of_the_lab_can_fail(tmp_path, make, ok):
    assert (smoke(tmp_path, make, seconds=30 if ok else 2) == 0) is ok
