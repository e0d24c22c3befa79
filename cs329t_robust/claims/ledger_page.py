"""Store the outcomes of the claims, one JSON file a lesson, and write docs/claims.md from them."""

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from .ledger import Claim, Finding, Outcome, percent

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
HEAD = """\
# The claims ledger

What the lecture and the papers claim, and what this workbook finds when it runs it: on small networks, few pictures and
a CPU. `make claims` runs every row again and writes this page; `cs329t claims --only ID` runs one. Each row says
what would count as holding.
"""
COLUMNS = "| id | claim | source | theirs | ours | n | 95% interval | setting; holds if | s | verdict |"


def circumstances() -> dict[str, str]:
    """Return when and on what the rows are run: date, machine, versions."""
    threads = torch.get_num_threads()
    return {
        "date": datetime.now(UTC).strftime("%-d %B %Y"),
        "machine": f"{platform.system()} {platform.machine()}, {_processor()}{os.cpu_count()} CPUs, {threads} torch "
        f"thread{'s' if threads > 1 else ''}, no GPU used",
        "versions": f"Python {platform.python_version()}, torch {torch.__version__.split('+')[0]}, "
        f"cs329t-robust {__version__}",
    }


def as_row(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as it is kept: the claim by its id, the finding, the error, whole seconds, circumstances."""
    finding = asdict(outcome.finding) if outcome.finding else None
    if finding and finding["interval"]:
        finding["interval"] = [round(float(end), 6) for end in finding["interval"]]
    if finding and finding["number"] is not None:
        finding["number"] = round(float(finding["number"]), 6)
    return {
        "id": outcome.claim.id,
        "verdict": outcome.verdict,
        "finding": finding,
        "error": outcome.error,
        "seconds": round(outcome.seconds, 1),
        **circumstances(),
    }


def kept(docs: Path = DOCS) -> dict[str, dict[str, Any]]:
    """Return the rows of docs/claims/*.json, by id."""
    files = sorted((docs / "claims").glob("[0-9][0-9].json"))
    return {row["id"]: row for file in files for row in json.loads(file.read_text("utf-8"))}


def keep(outcomes: Sequence[Outcome], claims: Sequence[Claim], docs: Path = DOCS) -> Path:
    """Put `outcomes` in the place of what was kept, forget rows whose claim is gone, write docs/claims.md; return it.

    Parameters
    ----------
    claims : sequence of Claim
        All that there are, in order.
    """
    rows = kept(docs) | {outcome.claim.id: as_row(outcome) for outcome in outcomes}
    folder, texts = docs / "claims", {docs / "claims.md": markdown(claims, rows)}
    for lesson in sorted({claim.lesson for claim in claims}):
        mine = [rows[claim.id] for claim in claims if claim.lesson == lesson and claim.id in rows]
        if mine:
            texts[folder / f"{lesson}.json"] = json.dumps(mine, indent=1, ensure_ascii=False) + "\n"
    folder.mkdir(parents=True, exist_ok=True)  # from here on nothing can fail that would lose a row
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    for gone in set(folder.glob("[0-9][0-9].json")) - set(texts):
        gone.unlink()
    return docs / "claims.md"


def markdown(claims: Sequence[Claim], rows: dict[str, dict[str, Any]]) -> str:
    """Return docs/claims.md: the count, first those that do not hold, then a table for each lesson and its notes."""
    run = [claim for claim in claims if claim.id in rows]
    holding = [claim for claim in run if rows[claim.id]["verdict"] == "holds"]
    parts = [HEAD, f"**{len(holding)} of {len(run)} claims hold at this scale.**"]
    for verdict, title in (("error", "Could not be run"), ("does not hold", "Do not hold at this scale")):
        failed = [claim for claim in run if rows[claim.id]["verdict"] == verdict]
        if failed:
            lines = [f"* `{claim.id}`: {_cell(claim.says)} Ours: {_ours(rows[claim.id])}." for claim in failed]
            parts.append(f"{title}:\n\n" + "\n".join(lines))
    if len(run) < len(claims):
        parts.append("Not run yet: " + ", ".join(f"`{claim.id}`" for claim in claims if claim.id not in rows) + ".")
    parts.append(_circumstances([rows[claim.id] for claim in run]))
    for lesson in sorted({claim.lesson for claim in claims}):
        mine = [claim for claim in claims if claim.lesson == lesson]
        lines = [COLUMNS, "|" + "---|" * COLUMNS.count(" |"), *(line(claim, rows.get(claim.id)) for claim in mine)]
        notes = [(claim.id, (rows.get(claim.id, {}).get("finding") or {}).get("note")) for claim in mine]
        noted = "\n".join(f"* `{name}`: {note}" for name, note in notes if note)
        parts.append(f"## Lesson {lesson}\n\n" + "\n".join(lines) + (f"\n\n{noted}" if noted else ""))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def line(claim: Claim, row: dict[str, Any] | None) -> str:
    """Return a claim's line of the table; a claim that was never run says so."""
    finding = Finding(**row["finding"]) if row and row["finding"] else None
    cells = [f"`{claim.id}`", claim.says, claim.source, claim.theirs]
    if finding:
        cells += [finding.value, f"{finding.n:,} {finding.of}", interval(finding)]
        cells += [f"{finding.setting}. Holds if {claim.holds_if}"]
    else:
        cells += ["error" if row else "not run yet", "", "", f"Holds if {claim.holds_if}"]
    cells += [f"{row['seconds']:.0f}" if row else "", _verdict(row)]
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def interval(finding: Finding) -> str:
    """Return a finding's interval in print, in its unit; "none" where it has none."""
    if finding.interval is None:
        return "none"
    low, high = finding.interval
    if finding.unit == "%":
        return f"{percent(low, finding.n)[:-1]} to {percent(high, finding.n)}"
    return f"{low:.3g} to {high:.3g}{finding.unit}"


def told(outcome: Outcome, before: dict[str, Any] | None = None) -> str:
    """Return an outcome for the terminal, a line for each thing it says; `before` is the row that was kept of it."""
    claim, finding = outcome.claim, outcome.finding
    lines = [f"{claim.id}: {outcome.verdict}", f"  claim     {claim.says}", f"  source    {claim.source}"]
    lines.append(f"  theirs    {claim.theirs}")
    if finding is None:
        lines.append(f"  error     {outcome.error}")
    else:
        lines.append(f"  ours      {finding.value}; n = {finding.n:,} {finding.of}; 95% interval: {interval(finding)}")
        lines.append(f"  setting   {finding.setting}")
    lines.append(f"  holds if  {claim.holds_if}")
    if finding and finding.note:
        lines.append(f"  note      {finding.note}")
    if finding and before and before["finding"]:
        same = (before["verdict"], before["finding"]["value"]) == (outcome.verdict, finding.value)
        lines.append(
            f"  the docs  {'the same' if same else _ours(before) + ', ' + before['verdict']} ({before['date']})"
        )
    return "\n".join([*lines, f"  seconds   {outcome.seconds:.1f} of CPU time"])


def _ours(row: dict[str, Any]) -> str:
    return row["finding"]["value"] if row["finding"] else row["error"]


def _verdict(row: dict[str, Any] | None) -> str:
    return {"holds": "holds", "does not hold": "**does not hold**", "error": "**error**"}[row["verdict"]] if row else ""


def _circumstances(rows: Iterable[dict[str, Any]]) -> str:
    """Return on what the rows were run, a line for each date and machine, with its rows' seconds."""
    seconds: dict[str, list[float]] = {}
    for row in rows:
        seconds.setdefault(f"{row['date']}: {row['machine']}; {row['versions']}", []).append(row["seconds"])
    lines = [f"* {where}: {len(took)} rows, {sum(took):.0f} s of CPU time in all" for where, took in seconds.items()]
    shared = "Seconds (s) are CPU time. Rows that share an attack pay for it once, in the first of them."
    return "\n".join(["Run on", "", *lines, "", shared])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _processor() -> str:
    """Return the processor's name and a comma where the system tells it (Linux), else nothing."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, " if names else ""
