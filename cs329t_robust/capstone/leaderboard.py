"""The leaderboard: one JSON line a result, appended. Lines of two branches merge by union, in any order."""

import hashlib
import json
import os
from datetime import date
from pathlib import Path

from .. import __version__
from .tracks import TRACKS, Score

FIELDS = {"name": str, "track": str, "hits": int, "n": int, "images": str, "date": str, "version": str}


def images_id(secret: str) -> str:
    """Name the hidden images without giving the secret away: results with the same id are comparable."""
    return hashlib.sha256(f"leaderboard {secret}".encode()).hexdigest()[:8]


def add(board: Path, name: str, scores: list[Score], secret: str) -> None:
    """Append results to the file `board`, which is made if it is missing.

    Raises
    ------
    ValueError
        If a line of the file is no result; nothing is written then.
    """
    read(board)
    rows = [
        {"name": name, "track": s.track, "hits": s.hits, "n": s.n, "images": images_id(secret),
         "date": date.today().isoformat(), "version": __version__}
        for s in scores
    ]  # fmt: skip
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    with board.open("ab+") as file:
        file.seek(0, os.SEEK_END)
        if file.tell():
            file.seek(-1, os.SEEK_END)
            text = text if file.read(1) == b"\n" else "\n" + text
        file.write(text.encode())


def read(board: Path) -> list[dict]:
    """Return the file's results, each once, in no order that matters.

    Raises
    ------
    ValueError
        If a line is no result: the message gives its number.
    """
    rows = []
    for number, line in enumerate(board.read_text("utf-8").splitlines() if board.exists() else [], 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not _is_result(row):
            raise ValueError(
                f"{board}, line {number}: expected one result as JSON, got {line[:80]!r}; mend or remove it"
            )
        if row not in rows:
            rows.append(row)
    return rows


def _is_result(row: object) -> bool:
    if not isinstance(row, dict) or any(type(row.get(key)) is not kind for key, kind in FIELDS.items()):
        return False
    return row["track"] in TRACKS and 0 <= row["hits"] <= row["n"] and row["n"] > 0


def table(rows: list[dict]) -> str:
    """Return a Markdown table for each track: everyone's best result on each set of hidden images, the best first."""
    parts = []
    for track, says in TRACKS.items():
        best: dict[tuple[str, str], dict] = {}
        for row in rows:
            key = (row["name"], row["images"])
            if row["track"] == track and (key not in best or _rank(row) < _rank(best[key])):
                best[key] = row
        if best:
            lines = [f"## {track}: {says}", "", "| name | score | of | images | date |", "|---|---|---|---|---|"]
            lines += [
                "| "
                + " | ".join(map(_cell, (r["name"], f"{r['hits'] / r['n']:.3f}", str(r["n"]), r["images"], r["date"])))
                + " |"
                for r in sorted(best.values(), key=_rank)
            ]
            parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")


def _rank(row: dict) -> tuple:
    return -row["hits"] / row["n"], -row["n"], row["date"], row["name"]
