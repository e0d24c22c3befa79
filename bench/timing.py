"""Time contenders in turn on the same images, and score what they return without believing it."""

import contextlib
import copy
import gc
import statistics
import sys
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from cs329t_robust.evaluation.accuracy import check_member, predict
from cs329t_robust.threat import L2, Ball

from .contenders import Race
from .peers import NAMES, Run

LONG_ENOUGH, MOST_CALLS = 0.2, 50  # seconds of one timed run, in which a quick attack is called again and again


@dataclass
class Result:
    """What one contender did: the seconds of each timed run, the images of its warm-up, or why it failed."""

    seconds: list[float] = field(default_factory=list)
    x_adv: Tensor | None = None
    error: str = ""


def rows(attack: str, name: str, race: Race, model: nn.Module, x: Tensor, y: Tensor, runs: int) -> list[dict]:
    """Return one row for each contender of an attack on the model called `name`; a failed one keeps its error.

    "same_verdict" is the share of images that both this contender and the first one, ours, leave right, or both do not.
    """
    results = interleaved(race, model, x, y, runs)
    right = predict(model, x).argmax(1) == y
    first = next(iter(results.values()))
    table = []
    for (mode, who), result in results.items():
        row = {"attack": attack, "mode": mode, "model": name, "who": who, "n": len(x), "error": result.error}
        row |= dict.fromkeys(("seconds", "spread", "ratio", "vs_fastest_peer"))
        row |= dict.fromkeys(("robust_accuracy", "success", "median_norm", "same_verdict"))
        if not result.error:
            row["seconds"] = round(statistics.median(result.seconds), 6)
            row["spread"] = [round(min(result.seconds), 6), round(max(result.seconds), 6)]
            try:
                row |= score(model, x, y, right, result.x_adv, race.threat)
                if not first.error:
                    same = _standing(model, y, right, result.x_adv) == _standing(model, y, right, first.x_adv)
                    row["same_verdict"] = round(same.double().mean().item(), 6)
            except ValueError as error:  # it left the threat or the box
                row["error"] = one_line(error)
        table.append(row)
    _add_ratios(table)
    return table


def interleaved(race: Race, model: nn.Module, x: Tensor, y: Tensor, runs: int) -> dict[tuple[str, str], Result]:
    """Warm each contender up once, then run them round-robin, beginning with another one each round.

    Each has its own copy of the model, since some leave gradients or modes behind.
    """
    own = {key: copy.deepcopy(model) for key in race.runs}
    results = {key: Result() for key in race.runs}
    warm_ups = [_attempt(results[key], run, own[key], x, y) for key, run in race.runs.items()]
    calls = max(1, min(MOST_CALLS, int(LONG_ENOUGH / min(warm_ups))))  # the same for all
    for turn in range(runs):
        keys = [key for key in race.runs if not results[key].error]
        for key in keys[turn % max(len(keys), 1) :] + keys[: turn % max(len(keys), 1)]:
            results[key].seconds.append(_attempt(results[key], race.runs[key], own[key], x, y, calls))
    return results


def _attempt(result: Result, run: Run, model: nn.Module, x: Tensor, y: Tensor, calls: int = 1) -> float:
    """Return the seconds of one call, infinite if it fails; the first attempt's images are kept, and any error."""
    torch.manual_seed(0)
    np.random.seed(0)
    gc.collect()
    try:
        with contextlib.redirect_stdout(sys.stderr):  # some peers print
            began = now(x.device)
            for _ in range(calls):
                x_adv = run(model, x, y)
            seconds = (now(x.device) - began) / calls
    except Exception as error:  # a contender that fails is a result too
        result.error = one_line(error)
        return float("inf")
    if result.x_adv is None:
        result.x_adv = x_adv.detach()
    return seconds


def score(model: nn.Module, x: Tensor, y: Tensor, right: Tensor, x_adv: Tensor, threat: Ball | None) -> dict:
    """Return robust accuracy, and success and median L2 norm over the images that were right at first.

    Parameters
    ----------
    right : Tensor (n,), bool
        Which images were right at first.
    threat : Linf or L2, optional
        What `x_adv` must lie in. Without it the attack sought the nearest example: an image that came back black
        counts as a failure whatever its class, and failures stand at an infinite distance.

    Raises
    ------
    ValueError
        If an image left the threat or [0, 1].
    """
    if threat is not None:
        check_member(x, x_adv, threat)
    standing = _standing(model, y, right, x_adv)
    fallen = right & ~standing
    found = {"robust_accuracy": round(standing.double().mean().item(), 6)}
    if threat is not None:
        return found | {"success": round(fallen[right].double().mean().item(), 6)}
    success = (fallen & (x_adv.flatten(1).amax(1) > 0))[right]
    distance = L2(0.0).distance(x, x_adv)[right]
    median = torch.where(success, distance, torch.inf).quantile(0.5, interpolation="lower").item()
    norm = round(median, 4) if np.isfinite(median) else None
    return found | {"success": round(success.double().mean().item(), 6), "median_norm": norm}


def _standing(model: nn.Module, y: Tensor, right: Tensor, x_adv: Tensor) -> Tensor:
    return right & (predict(model, x_adv).argmax(1) == y)


def _add_ratios(table: list[dict]) -> None:
    """Fill in each time as a multiple of the bare loop's and of the fastest peer's."""
    done = [row for row in table if not row["error"]]
    bare = [row["seconds"] for row in done if row["who"] == "bare"]
    theirs = [row["seconds"] for row in done if is_peer(row)]
    for row in done:
        row["ratio"] = round(row["seconds"] / bare[0], 4) if bare else None
        row["vs_fastest_peer"] = round(row["seconds"] / min(theirs), 4) if theirs else None


def is_peer(row: dict) -> bool:
    """Return whether a row is another library's."""
    return row["who"].split()[0] in NAMES


def one_line(error: Exception) -> str:
    """Return an exception as one line of at most 160 characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:160]


def now(device: torch.device) -> float:
    """Return the time in seconds once the device is done with what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
