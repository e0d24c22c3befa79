"""The command `cs329t`. Sub-commands import what they need when they run, so that `cs329t --help` is instant."""

import argparse
import sys
from pathlib import Path

from .. import __version__
from ..lessons import new_exercise
from . import capstone, claims, generalization, glasses_and_patch, reproduce

# the names of recipes.RECIPES
METHODS = ["standard", "gaussian", "fgsm", "fast", "free", "pgd", "trades", "pgd_l2", "interval", "masked"]
EXAMPLES = """\
examples:
  cs329t doctor                     what is wrong with my set-up, and how do I mend it?
  cs329t data                       are the data files whole?
  cs329t data --repair              download MNIST's damaged or missing files again
  cs329t data --get fashion_mnist   download a data set that the repository does not carry
  cs329t train mnist --out m.safetensors   train the digit classifier (about 15 seconds)
  cs329t train mnist --method fast --out robust.safetensors   the same, robust at ε = 0.3
  cs329t train signs --out s.safetensors   train the road-sign classifier (about a minute)
  cs329t glasses --target zebra --out zebra.png   paint glasses that a classifier takes for a zebra
  cs329t reproduce ilyas            a paper's table on MNIST, beside the paper's (2 minutes)
  cs329t generalization --json g.json   train on few and on many digits (15 minutes)
  cs329t lessons --only 02          build a lesson's notebooks from its source, and run them
  cs329t lessons --check            are the notebooks what their sources make?
  cs329t new-exercise 03 haze       lay out an exercise, with checks and tests
  cs329t score my_entry --board leaderboard.jsonl   score a capstone submission
  cs329t claims --only 03.glasses   run one claim of the lecture: does it hold?
  cs329t status                     which exercises are done, partly done, open?
  cs329t update ../new-release      bring a new release into my notebooks; my answers stay
  cs329t release --out bundle --assignment ps1.toml     what students get: no solutions
  cs329t grade submissions --out results --jobs 2       grade what they hand in

environment:
  CS329T_DATA      a folder with more data sets; downloads go there
  CS329T_DEVICE    cpu, cuda, cuda:1 or mps instead of the device found
  CS329T_THREADS   CPU threads that torch uses (default 1)
  CS329T_CUDA_GRAPHS=1   record an attack's steps as CUDA graphs; off, since not yet tested on a GPU

exit codes:
  0  all is well      1  a check failed, or the command could not do it      2  wrong usage
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command line `argv` (by default the process's own) and return its exit code."""
    arguments = _parser().parse_args(argv)
    from ..data.mnist_files import DataError

    try:
        return arguments.run(arguments)
    except (DataError, ValueError, FileNotFoundError) as error:
        print(f"cs329t {arguments.command}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cs329t",
        description="The workbook of the Robustness lecture: check the machine and its data, build lessons, train.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cs329t-robust {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command", title="commands")

    doctor = commands.add_parser("doctor", help="check the set-up, and say how to fix what fails")
    doctor.set_defaults(run=_doctor)

    data = commands.add_parser("data", help="verify, repair or download the data")
    action = data.add_mutually_exclusive_group()
    action.add_argument("--verify", action="store_true", help="check every shipped file's SHA-256 (the default)")
    action.add_argument("--repair", action="store_true", help="download MNIST's damaged or missing files again")
    action.add_argument("--get", metavar="NAME", help="download fashion_mnist, cifar10 or mnist through torchvision")
    data.set_defaults(run=_data)

    train = commands.add_parser("train", help="train a model and save it with its model card")
    train.add_argument("dataset", choices=["mnist", "dense", "signs"], help="dense: digits, for a very small network")
    train.add_argument("--method", default="standard", choices=METHODS, help="how to train (default: standard)")
    train.add_argument("--eps", type=float, help="radius to train against (default: the method's own, mostly 0.3)")
    train.add_argument("--epochs", type=int, help="passes over the data (default: the method's own)")
    train.add_argument("--seed", type=int, default=0, help="seed of the weights and of the order (default: 0)")
    train.add_argument(
        "--measure",
        type=int,
        default=0,
        metavar="N",
        help="test images to measure all attacks on (default: PGD alone)",
    )
    train.add_argument("--out", required=True, metavar="PATH", help="the .safetensors file to write")
    train.set_defaults(run=_train)

    lessons = commands.add_parser("lessons", help="build the notebooks from lessons/source, and run them")
    lessons.add_argument("--only", metavar="NN", help="only this lesson, such as 02")
    lessons.add_argument(
        "--check", action="store_true", help="compare with the notebooks on disk; build and run nothing"
    )
    lessons.set_defaults(run=_lessons)

    bench = commands.add_parser("bench", help="time an attack beside a bare loop with as many gradients")
    bench.add_argument("--attack", default="pgd", choices=["fgsm", "pgd"])
    bench.add_argument("--device", help="cpu, cuda or mps (default: the device found)")
    bench.add_argument("--n", type=int, default=256, help="images (default: 256)")
    bench.add_argument("--json", metavar="PATH", help="write the rows, the machine and the versions to this file")
    bench.set_defaults(run=_bench)

    glasses_and_patch.add_parsers(commands)
    generalization.add_parser(commands)
    claims.add_parser(commands)
    capstone.add_parsers(commands)

    status = commands.add_parser("status", help="how far have I come? read from the notebooks, nothing is sent")
    status.add_argument("--lessons", type=Path, metavar="DIR", help="the notebooks (default: the workbook's own)")
    status.set_defaults(run=_status)

    update = commands.add_parser("update", help="bring a new release into notebooks that hold your answers")
    update.add_argument("release", type=Path, metavar="RELEASE", help="the folder of the new release")
    update.add_argument("--lessons", type=Path, metavar="DIR", help="your notebooks (default: the workbook's own)")
    update.set_defaults(run=_update)

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

    new_exercise.add_parser(commands)
    reproduce.add(commands)

    # Further commands go here: add_parser, its arguments, set_defaults(run=…), and a function below.
    return parser


def _doctor(arguments: argparse.Namespace) -> int:
    from .doctor import examine, report

    findings = examine()
    print(report(findings))
    return 0 if all(finding.ok for finding in findings) else 1


def _train(arguments: argparse.Namespace) -> int:
    settings = {"out": arguments.out, "epochs": arguments.epochs, "seed": arguments.seed}
    if arguments.dataset == "signs":
        from ..checkpoints.signs import train_signs

        if arguments.method != "standard" or arguments.eps is not None or arguments.measure:
            raise ValueError("signs: expected no --method, --eps or --measure; they belong to mnist")
        card = train_signs(**settings, progress=sys.stderr.isatty())
    elif arguments.dataset == "dense":
        from ..checkpoints.dense import train_dense

        if arguments.measure:
            raise ValueError("dense: expected no --measure; it belongs to mnist")
        card = train_dense(arguments.method, eps=arguments.eps, **settings, progress=sys.stderr.isatty())
    else:
        from ..checkpoints.digits import train_mnist

        settings |= {"eps": arguments.eps, "measure": arguments.measure}
        card = train_mnist(arguments.method, **settings, progress=sys.stderr.isatty())
    print("\n".join(f"{key:15} {value}" for key, value in card.items()))
    print(f"saved in {arguments.out}")
    return 0


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
    from ..lessons.update import update

    results = update(arguments.release, arguments.lessons or build.HOME)
    print("\n".join(map(str, results)))
    return 1 if any(result.problems for result in results) else 0


def _release(arguments: argparse.Namespace) -> int:
    from . import grading

    kind = "gradescope" if arguments.gradescope else "nbgrader" if arguments.nbgrader else "students"
    return grading.release_bundle(arguments.out, arguments.assignment, kind)


def _grade(arguments: argparse.Namespace) -> int:
    from . import grading

    return grading.grade_folder(
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


def _bench(arguments: argparse.Namespace) -> int:
    import json

    from ..runtime.hardware import check_writable, device, set_threads, usable
    from .bench import bench

    set_threads()
    check_writable("--json", arguments.json)
    on = usable("--device", arguments.device) if arguments.device else device()
    found = bench(arguments.attack, device=on, n=arguments.n)
    print(f"{'attack':8}{'mode':12}{'who':6}{'seconds':>9}{'ratio':>8}{'robust':>8}   on {found['machine']}")
    for row in found["rows"]:
        print(
            f"{row['attack']:8}{row['mode']:12}{row['who']:6}{row['seconds']:9.3f}{row['ratio']:8.2f}"
            f"{row['robust_accuracy']:8.3f}"
        )
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _data(arguments: argparse.Namespace) -> int:
    from ..data import datasets

    if arguments.get:
        print(f"{arguments.get} is in {datasets.get(arguments.get)}")
        return 0
    if arguments.repair:
        for path in datasets.repair():
            print(f"repaired {path}")
    verdicts = datasets.verify()
    for file, ok, detail in verdicts:
        print(f"ok    {file}: {detail}" if ok else f"FAIL  {detail}")
    bad = sum(not verdict.ok for verdict in verdicts)
    print(f"{bad} of {len(verdicts)} files failed" if bad else f"All {len(verdicts)} files are whole")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
