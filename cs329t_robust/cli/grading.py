"""`cs329t grade` and `cs329t release`: read the options, do the work, print what was done."""

from pathlib import Path

from ..grading.assignment import Assignment, AssignmentError, read, whole_course
from ..grading.grade import GradingError, grade
from ..grading.gradescope import autograder
from ..grading.nbgrader import instructor_version
from ..grading.release import release
from ..grading.results import write
from ..grading.sandbox.launcher import strongest
from ..grading.submissions import Student, students

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


def _summary(out: Path, plan: Assignment, totals: dict[str, float], troubled: list[str]) -> int:
    possible = sum(plan.worth(exercise) for exercise in plan.exercises)
    mean = sum(totals.values()) / len(totals)
    print(f"graded {len(totals)} students, mean {mean:.1f} of {possible:g} points")
    print(f"  {out / 'grades.csv'}\n  {out / 'students' / '…' / 'feedback.html'} and results.json\n  {out / 'log.txt'}")
    if troubled:
        print(f"The grader itself failed for {', '.join(troubled)}: see log.txt. A second run tries these again.")
    return 1 if troubled else 0
