"""`cs329t reproduce`: make a paper's table anew and print it beside the paper's numbers."""

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

DATASETS = ("mnist", "fashion_mnist", "cifar10")  # settings.SETTINGS, which takes torch to read


def add(commands: Any) -> None:
    """Add the command to the sub-parsers of `cs329t`."""
    parser = commands.add_parser("reproduce", help="make a paper's table anew, beside the paper's numbers")
    papers = parser.add_subparsers(dest="paper", required=True, metavar="paper")
    ilyas = papers.add_parser("ilyas", help="adversarial examples are not bugs, they are features (about 2 minutes)")
    ilyas.add_argument("--dataset", default="mnist", choices=DATASETS, help="(default: mnist, which is in here)")
    ilyas.add_argument("--data", type=Path, metavar="DIR", help="the folder that holds the data set")
    ilyas.add_argument("--n", type=int, help="training pictures (default: 4,000; all 50,000 of CIFAR-10)")
    ilyas.add_argument("--seeds", type=int, default=2, metavar="K", help="networks for each row (default: 2)")
    ilyas.add_argument("--epochs", type=int, help="of every training (default: the data set's own)")
    ilyas.add_argument("--steps", type=int, help="of the perturbations and of the inversion (default: its own)")
    ilyas.add_argument("--device", help="cpu, cuda or mps (default: the device found)")
    ilyas.add_argument("--json", type=Path, metavar="OUT", help="write rows, settings, machine and versions to OUT")
    ilyas.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make the table row by row; print each as soon as it is there."""
    for name, value in (("CS329T_DATA", arguments.data), ("CS329T_DEVICE", arguments.device)):
        if value:
            os.environ[name] = str(value)
    import torch

    from ..contract.input_validation import check_count
    from ..features import ilyas
    from ..features.ilyas_settings import SETTINGS
    from ..runtime.device_and_threads import device, set_threads

    threads, where = set_threads(), device()
    check_count("--seeds", arguments.seeds, 1)
    changed = {}
    for name, fields in (("n", ["n"]), ("epochs", ["epochs", "robust_epochs"]), ("steps", ["steps", "invert"])):
        value = getattr(arguments, name)
        if value is not None:
            check_count(f"--{name}", value, 1)
            changed |= dict.fromkeys(fields, value)
    if arguments.n is not None:
        changed["matched"] = 0  # found for the setting's own n
    setting = replace(SETTINGS[arguments.dataset], **changed)
    machine = f"{platform.machine()} {where}, {threads} thread, torch {torch.__version__}"
    print(heading(arguments.dataset, setting, arguments.seeds, machine), flush=True)
    began, found = time.process_time(), []
    tell = _whisper if sys.stderr.isatty() else lambda _: None
    for row in ilyas.rows(arguments.dataset, setting, seeds=arguments.seeds, device=where, tell=tell):
        found.append(row)
        print(line(row), flush=True)
    seconds = time.process_time() - began
    print(
        f"{seconds:.0f} s of CPU time. Chance is 10%. Paper: Ilyas et al. 2019, arXiv:1905.02175, CIFAR-10 / restricted"
    )
    print("ImageNet, robust at L2 0.25 for D_R and D_NR; leaks: Goh 2019, doi:10.23915/distill.00019.2.")
    if arguments.json:
        settings = {key: value for key, value in vars(setting).items() if not callable(value)}
        told = {"dataset": arguments.dataset, "machine": machine, "settings": settings, "seconds": round(seconds)}
        arguments.json.write_text(json.dumps(told | {"rows": [asdict(row) for row in found]}, indent=1) + "\n")
    return 0


def heading(dataset: str, setting: Any, seeds: int, machine: str) -> str:
    """Return what stands above the table: the setting in words and the columns' names."""
    return (
        f"{dataset}: {setting.n:,} training pictures in every row, {seeds} networks each, {setting.epochs} epochs; "
        f"L2 ε = {setting.eps:g}\n(D_det {setting.det_eps:g}), {setting.steps} steps; robust: PGD-20 at L2 "
        f"{setting.test_eps:g} on {setting.n_attacked} test pictures; {machine}\n"
        f"{'trained on':40}{'paper, %':>14}  {'clean, %':>12}  {'robust, %':>12}"
    )


def line(row: Any) -> str:
    """Return a row of the table: mean over the seeds, and their standard deviation where there are several."""
    return f"{row.trained_on:40}{row.paper:>14}  {spread(row.clean):>12}  {spread(row.robust):>12}".rstrip()


def spread(values: list[float]) -> str:
    """Return shares as "76.1 ± 0.8" in percent; "" for none."""
    if not values:
        return ""
    return f"{100 * mean(values):.1f}" + (f" ± {100 * stdev(values):.1f}" if len(values) > 1 else "")


def _whisper(words: str) -> None:
    print(f"… {words}", file=sys.stderr, flush=True)
