"""`cs329t lessons`, `new-exercise`, `status` and `update`: notebooks made, read and brought up to date."""

import argparse
from pathlib import Path

from ..lessons import new_exercise


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to argparse's sub-commands."""
    lessons = commands.add_parser("lessons", help="build the notebooks from lessons/source, and run them")
    lessons.add_argument("--only", metavar="NN", help="only this lesson, such as 02")
    lessons.add_argument(
        "--check", action="store_true", help="compare with the notebooks on disk; build and run nothing"
    )
    lessons.set_defaults(run=_lessons)

    new_exercise.add_parser(commands)

    status = commands.add_parser("status", help="how far have I come? read from the notebooks, nothing is sent")
    status.add_argument("--lessons", type=Path, metavar="DIR", help="the notebooks (default: the workbook's own)")
    status.set_defaults(run=_status)

    update = commands.add_parser("update", help="bring a new release into notebooks that hold your answers")
    update.add_argument("release", type=Path, metavar="RELEASE", help="the folder of the new release")
    update.add_argument("--lessons", type=Path, metavar="DIR", help="your notebooks (default: the workbook's own)")
    update.set_defaults(run=_update)


def _lessons(arguments: argparse.Namespace) -> int:
    from ..lessons import build

    if not arguments.check:
        for path in build.build(only=arguments.only):
            print(f"built lessons/{path.relative_to(build.HOME).as_posix()}", flush=True)
        return 0
    differences = build.check(only=arguments.only)
    for difference in differences:
        print(difference)
    if differences:
        print("The notebooks are not what their sources make: edit lessons/source, then run `make lessons`.")
    else:
        print("Every notebook is what its source makes.")
    return 1 if differences else 0


def _status(arguments: argparse.Namespace) -> int:
    from ..lessons import student_progress

    print(student_progress.report(student_progress.progress(arguments.lessons)))
    return 0


def _update(arguments: argparse.Namespace) -> int:
    from ..lessons import build
    from ..lessons.merge_release import update

    results = update(arguments.release, arguments.lessons or build.HOME)
    print("\n".join(map(str, results)))
    return 1 if any(result.problems for result in results) else 0
