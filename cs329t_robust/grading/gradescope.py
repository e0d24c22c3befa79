"""Make the zip that Gradescope runs: the workbook, a setup, and a run that grades one submission."""

import re
import secrets
import zipfile
from pathlib import Path

from ..lessons.student_answers import Pristine
from .assignment import Assignment, AssignmentError
from .release import ROOT

# Gradescope's machines have no GPU and little disk, so torch comes without CUDA; every other version is the lock's.
SETUP = """\
#!/usr/bin/env bash
# Run once by Gradescope, as root, when the image is made.
set -euo pipefail
SOURCE="$(cd "$(dirname "$0")" && pwd)"
PYTHON=""
for name in python3.14 python3.13 python3.12 python3.11 python3; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then PYTHON="$name"; break; fi
done
if [ -z "$PYTHON" ]; then
    apt-get update && apt-get install -y python3.11 python3.11-venv
    PYTHON=python3.11
fi
if ! "$PYTHON" -m venv "$SOURCE/../venv"; then
    apt-get update && apt-get install -y python3-venv
    "$PYTHON" -m venv "$SOURCE/../venv"
fi
"$SOURCE/../venv/bin/pip" install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu \\
    -c "$SOURCE/constraints.txt" torch torchvision
"$SOURCE/../venv/bin/pip" install --no-cache-dir -c "$SOURCE/constraints.txt" -e "${SOURCE}[lessons]"
"""

RUN = """\
#!/usr/bin/env bash
# Run by Gradescope for each submission, as root: grades it, and leaves results/results.json.
set -uo pipefail
SOURCE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
[ -d "$SOURCE/source" ] && SOURCE="$SOURCE/source"
BASE="$(dirname "$SOURCE")"
# Answers run as another user: what they must not read is closed to them.
chmod go-rwx "$SOURCE/cs329t_robust/checks" "$SOURCE/lessons" "$SOURCE/secret" "$SOURCE/assignment.toml"
mkdir -p "$BASE/results" "$BASE/graded"
chmod go-rwx "$BASE/submission" "$BASE/results" "$BASE/graded"
cd "$SOURCE"
"$BASE/venv/bin/python" -m cs329t_robust grade "$BASE/submission" --single --out "$BASE/graded" \\
    --assignment assignment.toml --seed "$(cat secret)" --timeout TIMEOUT --memory MEMORY
if ! cp "$BASE/graded/students/submission/results.json" "$BASE/results/results.json"; then
    echo '{"score": 0, "output": "The grader failed on this submission. Tell your instructor: this is no verdict."}' \\
        > "$BASE/results/results.json"
fi
"""


def autograder(assignment: Assignment, source: Path, out: Path, seconds: int = 60, memory: int = 1024) -> Path:
    """Write Gradescope's autograder zip for an assignment, and return its path.

    Parameters
    ----------
    assignment : Assignment
    source : Path
        The assignment's file.
    out : Path
        The zip to write; it must not exist yet. It holds the checks and a secret: give it to Gradescope alone.
    seconds, memory : int
        Limits of one answer.

    Raises
    ------
    AssignmentError
        If `out` exists, or does not end in ``.zip``.
    """
    if out.suffix != ".zip" or out.exists():
        raise AssignmentError(f"--out {out}: expected the name of a new file that ends in .zip")
    run = RUN.replace("TIMEOUT", str(seconds)).replace("MEMORY", str(memory))
    texts = {
        "setup.sh": SETUP,
        "run_autograder": run,
        "constraints.txt": constraints((ROOT / "requirements.lock").read_text(encoding="utf-8")),
        "secret": secrets.token_hex(16),
        "assignment.toml": source.read_text(encoding="utf-8"),
        "README.md": f"# Autograder of {assignment.title}\n",
    }
    files = [ROOT / name for name in ("pyproject.toml", "LICENSE")]
    files += [Pristine(lesson).path for lesson in assignment.lessons]
    for folder in ("cs329t_robust", "data"):
        files += [path for path in sorted((ROOT / folder).rglob("*")) if path.is_file() and path.suffix != ".pyc"]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o755 if name in ("setup.sh", "run_autograder") else 0o600) << 16
            archive.writestr(entry, text)
        for path in files:
            archive.write(path, path.relative_to(ROOT).as_posix())
    return out


def constraints(lock: str) -> str:
    """Return a lock's versions without hashes, as pip's ``-c`` takes them together with another index."""
    found = re.findall(r"^([A-Za-z0-9._-]+==[^\s;\\]+)((?: *;[^\\\n]*)?)", lock, flags=re.MULTILINE)
    return "".join(f"{pin}{marker.rstrip()}\n" for pin, marker in found)
