"""The commands `cs329t glasses` and `cs329t patch`: make the glasses and the patch of lesson 03 again, or others."""

import argparse
import sys
from typing import Any


def add_parsers(commands: Any) -> None:
    """Add both commands to the command line; what they need is imported when they run."""
    glasses = commands.add_parser("glasses", help="paint glasses on a portrait that a classifier takes for a target")
    glasses.add_argument(
        "--target", action="append", default=[], metavar="CLASS", help="an ImageNet class; may be repeated"
    )
    glasses.add_argument("--by-lot", type=int, default=0, metavar="N", help="also N targets drawn by lot")
    glasses.add_argument("--poses", action="store_true", help="in any pose of the head (four times as long)")
    glasses.add_argument("--thickness", type=float, default=0.12, help="of the frame; 0.12 covers 4%% of the picture")
    glasses.add_argument("--steps", type=int, default=200, help="gradient steps (default: 200)")
    glasses.add_argument("--seed", type=int, default=0, help="seed of the lot and of the poses (default: 0)")
    glasses.add_argument("--out", metavar="PATH", help="a PNG of the last target's portrait")
    glasses.add_argument("--json", metavar="PATH", help="write the rows to this file")
    glasses.set_defaults(run=_glasses)

    patch = commands.add_parser("patch", help="train a patch that a classifier takes for a target wherever it lies")
    patch.add_argument(
        "--target", default="hummingbird", metavar="CLASS", help="an ImageNet class (default: hummingbird)"
    )
    patch.add_argument("--steps", type=int, default=800, help="gradient steps on 8 pictures each (default: 800)")
    patch.add_argument("--seed", type=int, default=0, help="seed of backgrounds and poses (default: 0)")
    patch.add_argument("--out", required=True, metavar="PATH", help="the PNG to write")
    patch.set_defaults(run=_patch)


def _glasses(arguments: argparse.Namespace) -> int:
    import json
    from pathlib import Path

    import torch

    from ..checkpoints import glasses_and_patch
    from ..contract.input_validation import check_count
    from ..models.networks import imagenet_classifier
    from ..runtime.device_and_threads import check_writable, set_threads

    set_threads()
    check_writable("--json", arguments.json)
    check_count("--by-lot", arguments.by_lot, 0)
    lot = torch.randperm(1000, generator=torch.Generator().manual_seed(arguments.seed))[: arguments.by_lot]
    targets = [*map(glasses_and_patch.class_number, arguments.target), *lot.tolist()]
    if not targets:
        raise ValueError("target: expected --target CLASS or --by-lot N, got neither")
    model, rows = imagenet_classifier().requires_grad_(False), []
    for target in targets:
        picture, painted = glasses_and_patch.paint_glasses(
            model,
            target,
            poses=arguments.poses,
            thickness=arguments.thickness,
            steps=arguments.steps,
            seed=arguments.seed,
        )
        rows.append(glasses_and_patch.as_row(painted))
        print(
            f"{painted.target:28} {'reached' if painted.reached else 'missed'}: "
            f"{painted.seen_as} {painted.probability:.0%}; "
            f"target in {painted.share_of_views:.0%} of 32 poses; {painted.seconds:.0f} s",
            flush=True,
        )
    print(f"{sum(row['reached'] for row in rows)} of {len(rows)} targets reached")
    if arguments.out:
        glasses_and_patch.save(picture[0], arguments.out, target=painted.target)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


def _patch(arguments: argparse.Namespace) -> int:
    from ..checkpoints import glasses_and_patch
    from ..models.networks import imagenet_classes
    from ..runtime.device_and_threads import set_threads

    set_threads()
    target = glasses_and_patch.class_number(arguments.target)
    patch = glasses_and_patch.make_patch(
        target, steps=arguments.steps, seed=arguments.seed, progress=sys.stderr.isatty()
    )
    patch = (patch * 255).round() / 255
    glasses_and_patch.save(patch, arguments.out, target=imagenet_classes()[target])
    for size in (50, 70, 90, 110):
        hits, n = glasses_and_patch.patch_success(patch, target, size)
        print(f"{size:3} pixels across: {hits} of {n} held-out placements")
    print(f"saved in {arguments.out}")
    return 0
