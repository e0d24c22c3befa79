"""`cs329t train`: train a model and save it with its model card."""

import argparse
import sys

# the names of recipes.RECIPES
METHODS = ["standard", "gaussian", "fgsm", "fast", "free", "pgd", "trades", "pgd_l2", "interval", "masked"]


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to argparse's sub-commands."""
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


def _train(arguments: argparse.Namespace) -> int:
    settings = {"out": arguments.out, "epochs": arguments.epochs, "seed": arguments.seed}
    if arguments.dataset == "signs":
        from ..checkpoints.signs import train_signs

        if arguments.method != "standard" or arguments.eps is not None or arguments.measure:
            raise ValueError("signs: expected no --method, --eps or --measure; they belong to mnist")
        card = train_signs(**settings, progress=sys.stderr.isatty())
    elif arguments.dataset == "dense":
        from ..checkpoints.small_dense import train_dense

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
