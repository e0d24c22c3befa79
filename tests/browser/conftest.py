"""A real JupyterLab on loopback and a real Chromium for the browser tests."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# no calls home: the tests need nothing but this machine
CHROMIUM_ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
EXPLORER_CELL = """\
from cs329t_robust.data import mnist
from cs329t_robust.models import mnist_classifier
from cs329t_robust.widgets import EpsilonExplorer

x, y = mnist("test", 2)
EpsilonExplorer(mnist_classifier(), x, y, targets=(3,))"""


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: where it listens, its secret, and the folder that it serves."""

    url: str
    token: str
    folder: Path
    home: Path

    def api(self, path: str, method: str = "GET") -> object:
        request = urllib.request.Request(f"{self.url}/api/{path}", method=method)
        request.add_header("Authorization", f"token {self.token}")
        with urllib.request.urlopen(request, timeout=20) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def address(self, name: str) -> str:
        return f"{self.url}/lab/tree/{name}?token={self.token}&reset"

    def stop_kernels(self) -> None:
        for session in self.api("sessions"):
            self.api(f"sessions/{session['id']}", "DELETE")

    def set_theme(self, theme: str) -> None:
        place = self.home / "settings" / "@jupyterlab" / "apputils-extension"
        (place / "themes.jupyterlab-settings").write_text(json.dumps({"theme": theme}))

    def trust(self, book: nbformat.NotebookNode, name: str) -> None:
        """Write a notebook into the served folder and sign it, as `jupyter trust` does."""
        nbformat.write(book, self.folder / name)
        environment = os.environ | {"JUPYTER_DATA_DIR": str(self.home / "data")}
        command = [sys.executable, "-m", "jupyter", "trust", str(self.folder / name)]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)


def notebook(*cells: str) -> nbformat.NotebookNode:
    """Build a small notebook of code cells for the default Python kernel."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return book


@pytest.fixture(scope="session")
def chromium() -> str:
    """Find Chromium; a missing browser fails the tests instead of skipping them."""
    named = os.environ.get("CS329T_CHROMIUM")
    found = named or next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)
    if not found or not Path(found).exists():
        pytest.fail(
            f"browser tests: no Chromium at {named or ' or '.join(CHROMIUM_NAMES)}. Install one "
            "(Debian: apt-get install chromium) or set CS329T_CHROMIUM to its path.",
            pytrace=False,
        )
    return found


@pytest.fixture(scope="session")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_ARGS))
        yield running
        running.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """Start JupyterLab with settings of its own, in a folder of its own."""
    home = tmp_path_factory.mktemp("jupyter")
    folder = home / "notebooks"
    folder.mkdir()
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(
        json.dumps({"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True})
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}"]
    command += [f"--IdentityProvider.token={token}"]
    log = home / "log.txt"
    with log.open("w") as sink:
        server = subprocess.Popen(command, env=environment, stdout=sink, stderr=subprocess.STDOUT)
    running = Lab(f"http://127.0.0.1:{port}", token, folder, home)
    for _ in range(240):
        if server.poll() is not None:
            pytest.fail(f"JupyterLab stopped at once:\n{log.read_text()[-3000:]}", pytrace=False)
        try:
            running.api("status")
            break
        except urllib.error.URLError:
            time.sleep(0.25)
    else:
        pytest.fail(f"JupyterLab did not answer in a minute:\n{log.read_text()[-3000:]}", pytrace=False)
    yield running
    running.stop_kernels()
    server.terminate()
    server.wait(20)


@pytest.fixture(scope="session")
def executed(tmp_path_factory) -> nbformat.NotebookNode:
    """A notebook with the explorer, run outside JupyterLab: no server has signed it, so none trusts it."""
    book = notebook(EXPLORER_CELL)
    NotebookClient(book, timeout=120, kernel_name="python3").execute(cwd=str(tmp_path_factory.mktemp("run")))
    return book
