"""`cs329t grade` and `cs329t release`: read the options, do the work, print what was done."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..grading.assignment import Assignment

PROMISES = {
    "full": "sandbox full: no files but Python's, no network, a process tree of its own, limits",
    "user": "sandbox user: a user of its own and limits; it CAN read what everybody may read, and reach the network",
    "none": "sandbox none: limits alone; answers run with YOUR rights on this machine",
}

AFTER = {
    "students": "no solutions in the notebooks; docs/grading.md says what the\npackage itself still reveals to "
    "a reader of its checks. Grade what comes back with: cs329t grade",
    "nbgrader": "WITH solutions, marked for nbgrader. Next: nbgrader generate_assignment",
}


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to argparse's sub-commands."""
    release = commands.add_parser("release", help="write the students' bundle, without solutions (instructors)")
    release.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    release.add_argument("--assignment", type=Path, metavar="TOML", help="lessons, due date, points (default: all)")
    kind = release.add_mutually_exclusive_group()
    kind.add_argument("--gradescope", action="store_true", help="write Gradescope's autograder to DIR, a .zip")
    kind.add_argument("--nbgrader", action="store_true", help="write nbgrader's instructor version to DIR, source/NAME")
    release.set_defaults(run=_release)

    grade = commands.add_parser("grade", help="grade a folder of submissions (instructors)")
    grade.add_argument(
        "submissions", type=Path, metavar="SUBMISSIONS", help="a folder with a folder, zip or notebook a student"
    )
    grade.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where the results go; a later run goes on there"
    )
    grade.add_argument("--assignment", type=Path, metavar="TOML", help="lessons and points (default: every lesson)")
    grade.add_argument("--jobs", type=int, default=1, help="students graded at once (default: 1)")
    grade.add_argument("--timeout", type=int, default=60, metavar="S", help="seconds for one answer (default: 60)")
    grade.add_argument("--memory", type=int, default=1024, metavar="MB", help="memory for one answer (default: 1024)")
    grade.add_argument(
        "--seed", metavar="TEXT", help="secret of the hidden inputs (default: random, kept in DIR/secret)"
    )
    grade.add_argument("--single", action="store_true", help="SUBMISSIONS is one student's folder, as on Gradescope")
    grade.add_argument(
        "--unprotected", action="store_true", help="run answers with your own rights where no sandbox works"
    )
    grade.set_defaults(run=_grade)


def grade_folder(
    submissions: Path,
    out: Path,
    *,
    assignment: Path | None = None,
    single: bool = False,
    unprotected: bool = False,
    jobs: int = 1,
    seconds: int = 60,
    memory: int = 1024,
    seed: str | None = None,
    progress: bool = True,
) -> int:
    """Grade a folder of submissions (`single`: of one student), write the results to `out`, and return the exit code.

    Raises
    ------
    GradingError, SandboxError, SubmissionError, AssignmentError
        With what was expected, what came, and the likely fix.
    """
    from ..grading import judge  # noqa: F401  (a package that every judge needs and that is missing is told here)
    from ..grading.assignment import read, whole_course
    from ..grading.grade import GradingError, grade
    from ..grading.results import write
    from ..grading.sandbox.launcher import strongest
    from ..grading.submissions import Student, students

    for name, value, least in (("--jobs", jobs, 1), ("--timeout", seconds, 1), ("--memory", memory, 64)):
        if value < least:
            raise GradingError(f"{name}: expected a whole number >= {least}, got {value}")
    if out.resolve() == submissions.resolve() or submissions.resolve() in out.resolve().parents:
        raise GradingError(f"--out {out}: expected a folder outside the submissions, got one inside {submissions}")
    plan = read(assignment) if assignment else whole_course()
    everyone = [Student(submissions.resolve().name, (submissions,))] if single else students(submissions)
    level, why = strongest(allow_none=unprotected)
    print(PROMISES[level] + (f"\n  because of {why}" if why else ""))
    records = grade(
        everyone, plan, out, level=level, jobs=jobs, seconds=seconds, memory=memory, seed=seed, progress=progress
    )
    graded = [records.graded[student.name] for student in everyone]
    header = [
        f"{plan.title}: lessons {', '.join(plan.lessons)}",
        PROMISES[level],
        f"{seconds} s and {memory} MB an answer",
    ]
    totals = write(out, graded, plan, header)
    return _summary(out, plan, totals, [g.name for g in graded if g.trouble or g.failed])


def release_bundle(out: Path, assignment: Path | None, kind: str = "students") -> int:
    """Write what `kind` asks for to `out` ("students", "gradescope", "nbgrader"), say what it is; return the exit code.

    Raises
    ------
    AssignmentError, LessonError
        With what was expected, what came, and the likely fix.
    """
    from ..grading.assignment import AssignmentError, read, whole_course
    from ..grading.gradescope import autograder
    from ..grading.nbgrader import instructor_version
    from ..grading.release import release

    plan = read(assignment) if assignment else whole_course()
    if kind == "gradescope":
        if assignment is None:
            raise AssignmentError("--gradescope: expected an --assignment file as well, got none")
        path = autograder(plan, assignment, out)
        print(f"{path}: upload it to Gradescope as the autograder.\nIt holds checks and a secret: show it to nobody.")
        return 0
    for path in instructor_version(plan, out) if kind == "nbgrader" else release(plan, out, assignment):
        print(f"wrote {path}")
    print(f"{out}: {len(plan.exercises)} exercises, {AFTER[kind]}")
    return 0


def _summary(out: Path, plan: "Assignment", totals: dict[str, float], troubled: list[str]) -> int:
    possible = sum(plan.worth(exercise) for exercise in plan.exercises)
    mean = sum(totals.values()) / len(totals)
    print(f"graded {len(totals)} students, mean {mean:.1f} of {possible:g} points")
    print(f"  {out / 'grades.csv'}\n  {out / 'students' / '…' / 'feedback.html'} and results.json\n  {out / 'log.txt'}")
    if troubled:
        print(f"The grader itself failed for {', '.join(troubled)}: see log.txt. A second run tries these again.")
    return 1 if troubled else 0


def _release(arguments: argparse.Namespace) -> int:
    kind = "gradescope" if arguments.gradescope else "nbgrader" if arguments.nbgrader else "students"
    return release_bundle(arguments.out, arguments.assignment, kind)


def _grade(arguments: argparse.Namespace) -> int:
    return grade_folder(
        arguments.submissions,
        arguments.out,
        assignment=arguments.assignment,
        single=arguments.single,
        unprotected=arguments.unprotected,
        jobs=arguments.jobs,
        seconds=arguments.timeout,
        memory=arguments.memory,
        seed=arguments.seed,
        progress=sys.stderr.isatty(),
    )
