"""The command `cs329t`. Sub-commands import what they need when they run, so that `cs329t --help` is instant."""

import argparse
import sys
from pathlib import Path

from .. import __version__
from ..runtime import DataError, MissingExtra
from . import capstone, claims, generalization, glasses_and_patch, grading, lessons, reproduce, train

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
  CS329T_DATA      a folder to look for data in before the repository's; downloads go there
  CS329T_DEVICE    cpu, cuda, cuda:1 or mps instead of the device found
  CS329T_THREADS   CPU threads that torch uses (default 1)
  CS329T_CUDA_GRAPHS=1   record an attack's steps as CUDA graphs; off, since not yet tested on a GPU

exit codes:
  0  all is well      1  a check failed, or the command could not do it      2  wrong usage
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command line `argv` (by default the process's own) and return its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except (DataError, MissingExtra, ValueError, FileNotFoundError) as error:
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

    train.add_parser(commands)

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

    lessons.add_parsers(commands)
    grading.add_parsers(commands)
    reproduce.add(commands)

    # A further command goes here, or into the file of its family.
    return parser


def _doctor(arguments: argparse.Namespace) -> int:
    from .doctor import examine, report

    findings = examine()
    print(report(findings))
    return 0 if all(finding.ok for finding in findings) else 1


def _bench(arguments: argparse.Namespace) -> int:
    import json

    from ..runtime.device_and_threads import check_writable, device, set_threads, usable
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
