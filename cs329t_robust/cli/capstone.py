"""`cs329t score` and `cs329t leaderboard`."""

import argparse
import secrets
from pathlib import Path
from typing import Any


def add_parsers(commands: Any) -> None:
    """Add the two commands to argparse's sub-commands."""
    score = commands.add_parser("score", help="score a capstone submission on hidden images")
    score.add_argument("path", type=Path, metavar="PATH", help="a folder: white.py, black.py, defence.safetensors")
    score.add_argument("--name", help="the name on the leaderboard (default: the folder's)")
    score.add_argument(
        "--seed", metavar="SECRET", help="which hidden images; the same for all who compare (default: new)"
    )
    score.add_argument("--images", type=int, default=200, metavar="N", help="hidden images (default: 200)")
    score.add_argument("--timeout", type=int, default=300, metavar="S", help="seconds for an attack (default: 300)")
    score.add_argument("--board", type=Path, metavar="FILE", help="append the scores to this leaderboard (.jsonl)")
    score.add_argument("--unprotected", action="store_true", help="run attacks without a sandbox: your own, or read")
    score.set_defaults(run=run_score)

    board = commands.add_parser("leaderboard", help="print a leaderboard file as tables")
    board.add_argument("file", type=Path, metavar="FILE")
    board.set_defaults(run=run_board)


def run_score(arguments: argparse.Namespace) -> int:
    """Score each part of a submission; 1 if any was refused, else 0."""
    from ..capstone.entry import score_entry
    from ..capstone.leaderboard import add, images_id
    from ..capstone.tracks import Refused, Score
    from ..grading.sandbox.launcher import strongest
    from ..runtime.device_and_threads import set_threads
    from .grading import PROMISES

    set_threads()
    secret = arguments.seed or secrets.token_hex(8)
    level, why = strongest(allow_none=arguments.unprotected)
    print(PROMISES[level] + (f"\n  because of {why}" if why else ""))
    if not arguments.seed:
        print(f"hidden images of a new secret; again with: --seed {secret}")
    scores, refused = [], 0
    for _, result in score_entry(arguments.path, secret, level=level, seconds=arguments.timeout, n=arguments.images):
        if isinstance(result, Refused):
            refused += 1
            print(f"refused. {result}")
        else:
            scores.append(result)
            print(result)
    if arguments.board and scores:
        name = arguments.name or arguments.path.resolve().name
        add(arguments.board, name, [score for score in scores if isinstance(score, Score)], secret)
        print(f"{arguments.board}: {len(scores)} results of {name}, images {images_id(secret)}")
    return 1 if refused else 0


def run_board(arguments: argparse.Namespace) -> int:
    """Print the tables."""
    from ..capstone.leaderboard import read, table

    if not arguments.file.is_file():
        raise FileNotFoundError(
            f"{arguments.file}: expected a leaderboard, found none; cs329t score PATH --board makes one"
        )
    print(table(read(arguments.file)) or "no results yet")
    return 0
