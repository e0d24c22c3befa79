"""`cs329t claims`: run the whole claims ledger, one lesson of it, or one claim."""

import argparse
import sys
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> None:
    """Add the command to argparse's sub-commands."""
    parser = commands.add_parser("claims", help="run what the lecture and the papers claim, and say what holds")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--only", metavar="ID", help="only this row, such as 03.glasses")
    which.add_argument("--lesson", metavar="NN", help="only this lesson's rows")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--list", action="store_true", help="list the claims; run nothing")
    action.add_argument("--write", action="store_true", help="put what was run into docs/claims and docs/claims.md")
    action.add_argument("--render", action="store_true", help="write docs/claims.md from docs/claims; run nothing")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the rows that were run to this file")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks for; 1 if a row raised an error, else 0, also where a claim does not hold."""
    from ..claims import ledger, ledger_page

    chosen = ledger.claims(arguments.lesson, arguments.only)
    if arguments.list:
        print("\n".join(f"{claim.id:24} {claim.says}" for claim in chosen))
        return 0
    if arguments.render:
        print(f"wrote {ledger_page.keep([], ledger.claims())}")
        return 0
    outcomes = _measured(chosen)
    if arguments.json:
        import json

        rows = [ledger_page.as_row(outcome) for outcome in outcomes]
        arguments.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if arguments.write:
        print(f"wrote {ledger_page.keep(outcomes, ledger.claims())}")
    counts = {verdict: sum(o.verdict == verdict for o in outcomes) for verdict in ("holds", "does not hold", "error")}
    seconds = sum(outcome.seconds for outcome in outcomes)
    print("; ".join(f"{verdict}: {count}" for verdict, count in counts.items()) + f"; {seconds:.0f} s of CPU time")
    return 1 if counts["error"] else 0


def _measured(chosen: tuple) -> list:
    from ..claims import ledger, ledger_page
    from ..runtime.device_and_threads import set_threads
    from ..runtime.progress_bar import rows

    set_threads()
    outcomes, before = [], ledger_page.kept()
    with rows("claims", len(chosen)) as done:
        for claim in chosen:
            outcome, trace = ledger.measure(claim)
            outcomes.append(outcome)
            done(ledger_page.told(outcome, before.get(claim.id)) + "\n")
            if trace:
                print(trace, file=sys.stderr, flush=True)
    return outcomes
