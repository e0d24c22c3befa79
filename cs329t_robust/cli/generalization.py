"""The command `cs329t generalization`: write the table of lesson 07, row by row; an interrupted run goes on."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> None:
    """Add the command to the command line; what it needs is imported when it runs."""
    parser = commands.add_parser("generalization", help="train on few and on many digits: clean and robust accuracy")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="N", help="training digits (default: the lesson's)")
    parser.add_argument("--seeds", type=int, default=3, metavar="S", help="training sets of each size (default: 3)")
    parser.add_argument("--json", type=Path, required=True, metavar="PATH", help="the table; a later run goes on there")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    import json

    from ..checkpoints import generalization
    from ..runtime.device_and_threads import set_threads

    set_threads()
    sizes, path = arguments.sizes or generalization.SIZES, arguments.json
    known = generalization.shipped(path) if path.exists() else []
    path.parent.mkdir(parents=True, exist_ok=True)
    for rows in generalization.measure(sizes, range(arguments.seeds), known=known):
        print(*rows[-1].values(), flush=True)
        path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", "utf-8")
    return 0
