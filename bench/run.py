"""Time our attacks beside the peers' and print a table and the bars: `make bench`, options through ARGS="--n 64"."""

import argparse
import json
import math
import platform
import subprocess
import sys
import warnings
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor, nn

from cs329t_robust.data import datasets
from cs329t_robust.evaluation.accuracy import predict
from cs329t_robust.models.networks import CHECKPOINTS, SmallCNN, cifar_resnet, load, mnist_classifier
from cs329t_robust.runtime import DataError

from . import timing
from .bars import Bar, bars
from .contenders import ATTACKS, EPS, count, race, races, radius
from .peers import PACKAGES

COLUMNS = {
    "attack": "attack",
    "model": "model",
    "n": "n",
    "mode": "mode",
    "who": "who",
    "seconds": "seconds",
    "spread": "spread",
    "ratio": "× bare",
    "vs_fastest_peer": "× fastest peer",
    "robust_accuracy": "robust accuracy",
    "success": "success",
    "median_norm": "median L2",
}


def main(argv: list[str] | None = None) -> None:
    """Run the races asked for, print the table and the bars, and write them as JSON if asked."""
    args = parse(argv)
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")  # the peers' deprecations would bury the table
    device = torch.device(args.device)
    wanted = races(args.models, args.attacks)
    names = list(dict.fromkeys(name for name, _ in wanted))
    models = {name: model.to(device) for name, model in load_models(names, args.robust_weights).items()}
    threads = f"{torch.get_num_threads()} thread(s)"
    machine = f"{platform.machine()}, {device}, {threads}, {args.runs} interleaved runs after a warm-up"
    head = {"machine": machine, "versions": versions(args.auto_attack)}
    rows = []
    for name, attack in [(name, attack) for name, attack in wanted if name in models]:
        model = models[name]
        x, y = images(name, model, args.n or count(attack, name), device)
        runs = race(attack, args.eps or radius(attack, name), args.auto_attack, device.type)
        print(f"{attack} on the {name} model, {len(x)} images", file=sys.stderr)
        rows += timing.rows(attack, name, runs, model, x, y, args.runs)
        if args.json:  # after each race, so that a long run cut short keeps what it has
            args.json.write_text(json.dumps({"rows": rows, **head, "bars": verdicts(bars(rows))}, indent=1) + "\n")
    print(markdown(rows), f"\n{machine}\n", *bars(rows), sep="\n")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--n", type=int, help="images: MNIST's first test digits, noise for resnet (the attack's own)")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each contender (5)")
    parser.add_argument("--attacks", nargs="+", choices=ATTACKS, help="(all)")
    parser.add_argument("--models", nargs="+", choices=tuple(EPS), help="(trades and masked for autoattack alone)")
    parser.add_argument(
        "--eps", type=float, help="Linf radius (0.3; masked, and standard in autoattack, 0.1; resnet 8/255)"
    )
    parser.add_argument("--auto-attack", type=Path, metavar="PATH", help="a checkout of the official auto-attack")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the rows and the bars here")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="torch's CPU threads (1)")
    weights = CHECKPOINTS / "mnist_pgd.safetensors"
    parser.add_argument("--robust-weights", type=Path, default=weights, metavar="PATH", help="the robust model's")
    args = parser.parse_args(argv)
    for option in ("n", "runs", "threads"):
        if getattr(args, option) is not None and getattr(args, option) < 1:
            parser.error(f"--{option}: expected at least 1, got {getattr(args, option)}")
    if args.auto_attack and not (args.auto_attack / "autoattack").is_dir():
        parser.error(f"--auto-attack: expected a checkout holding the folder autoattack, got {args.auto_attack}")
    return args


def load_models(names: list[str], robust_weights: Path) -> dict[str, nn.Module]:
    """Return the models by name; a robust one whose weights are missing is left out with a line that says so."""
    made = {
        "standard": mnist_classifier,
        "robust": lambda: load(SmallCNN(seed=0), robust_weights),
        "trades": lambda: mnist_classifier("trades"),
        "masked": lambda: mnist_classifier("masked"),
        "resnet": lambda: cifar_resnet(seed=0).eval(),
    }
    models = {}
    for name in names:
        try:
            models[name] = made[name]()
        except (DataError, FileNotFoundError) as error:
            print(f"the {name} model is left out: {error}", file=sys.stderr)
    return models


def images(name: str, model: nn.Module, n: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return what a model is attacked on: digits, or noise in CIFAR's shape with the labels that the model gives it."""
    if name != "resnet":
        x, y = datasets.mnist("test", n)
        return x.to(device), y.to(device)
    print("the resnet model has random weights and sees noise: only its times mean something", file=sys.stderr)
    x = torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(0)).to(device)
    return x, predict(model, x).argmax(1)


def versions(auto_attack: Path | None) -> dict[str, str]:
    """Return the versions of everything timed."""
    found = {name: metadata.version(name) for name in ("cs329t-robust", "torch", "numpy", *PACKAGES)}
    if auto_attack is not None:
        command = ["git", "-C", str(auto_attack), "rev-parse", "HEAD"]
        head = subprocess.run(command, capture_output=True, text=True, check=False)
        found["auto-attack"] = head.stdout.strip() or "unknown commit"
    return found


def verdicts(promises: list[Bar]) -> list[dict]:
    """Return the bars as JSON knows them: an infinite value becomes None."""
    return [
        {
            "bar": bar.name,
            "measured": bar.measured if bar.measured is not None and math.isfinite(bar.measured) else None,
            "limit": bar.limit,
            "verdict": bar.verdict,
        }
        for bar in promises
    ]


def markdown(rows: list[dict]) -> str:
    """Return the rows as one aligned Markdown table; a failed contender shows its error in place of numbers."""
    cells = [list(COLUMNS.values())] + [[_cell(row, key) for key in COLUMNS] for row in rows]
    notes = [f"failed: {row['error']}" if row["error"] else "" for row in rows]
    if any(notes):
        for line, note in zip(cells, ["", *notes], strict=True):
            line.append(note)
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _cell(row: dict, key: str) -> str:
    value = row[key]
    if value is None:
        return "—"
    if key == "spread":
        return f"{value[0]:.3g}–{value[1]:.3g}"
    if key in ("robust_accuracy", "success"):
        return f"{value:.1%}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
