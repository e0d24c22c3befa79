"""The state of a training run: all that is saved so that a run killed in the middle ends as if it had not been."""

import copy
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .distributed import first, several, sum_over_processes

EVERY = 30.0  # seconds between two saves within an epoch


@dataclass(frozen=True)
class Epoch:
    """One pass over the data: mean loss and accuracy on the (perturbed) training examples, and `validate`'s score.

    Attributes
    ----------
    seconds, cpu_seconds : float
        Wall-clock and CPU time from the start of the training to this epoch's end, without what a kill undid and the
        time until the training went on; not part of a comparison.
    """

    number: int
    loss: float
    accuracy: float
    score: float | None = None
    seconds: float = field(default=0.0, compare=False)
    cpu_seconds: float = field(default=0.0, compare=False)


class Run:
    """A model in training, with its optimiser, schedule, counts and history; kept in a .safetensors file if asked.

    Raises
    ------
    ValueError
        If the file at `path` is no saved training, or one with other settings.
    """

    def __init__(
        self,
        model: nn.Module,
        max_lr: float,
        steps: int,
        settings: dict[str, Any],
        device: torch.device,
        path: str | Path | None = None,
    ) -> None:
        self.model, self.steps, self.settings = model, steps, settings
        self.optimiser = torch.optim.Adam(model.parameters(), lr=max_lr)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimiser, max_lr, total_steps=steps)
        self.step, self.in_epoch, self.history = 0, 0, []
        self.sums = torch.zeros(2, device=device)  # loss and right answers of the epoch so far
        self.best: dict[str, Tensor] | None = None
        self.path, self.saved_at = None if path is None else Path(path), time.monotonic()
        self.earlier, self.began = (0.0, 0.0), (time.monotonic(), time.process_time())
        if self.path is not None and self.path.is_file():
            self._load()

    def count(self, loss: Tensor, right: Tensor) -> None:
        """Add one step's summed loss and number of right answers."""
        self.sums = self.sums + torch.stack([loss, right.to(loss.dtype)]).to(self.sums.dtype)
        self.step, self.in_epoch = self.step + 1, self.in_epoch + 1

    def spent(self) -> tuple[float, float]:
        """Return the seconds of wall-clock and of CPU time that the training has taken so far."""
        wall, cpu = self.earlier
        return wall + time.monotonic() - self.began[0], cpu + time.process_time() - self.began[1]

    def end_epoch(self, examples: int, validate: Callable[[nn.Module], float] | None) -> None:
        """Write the epoch into the history, and keep its weights if they score best."""
        sum_over_processes(self.sums)
        loss, accuracy = (self.sums / examples).tolist()
        if loss != loss:
            raise ValueError(
                f"fit: expected a finite loss, got NaN in epoch {len(self.history) + 1}; try a smaller max_lr than "
                f"{self.settings['max_lr']}"
            )
        score = None if validate is None else float(validate(self.model))
        if score is not None and all(score > epoch.score for epoch in self.history):
            self.best = copy.deepcopy(self.model.state_dict())
        self.history.append(Epoch(len(self.history) + 1, loss, accuracy, score, *self.spent()))
        self.sums, self.in_epoch = torch.zeros_like(self.sums), 0
        self._save()

    def restore_best(self) -> None:
        """Give the model the weights of its best epoch, where epochs were scored."""
        if self.best is not None:
            self.model.load_state_dict(self.best)

    def save_if_due(self) -> None:
        """Save, if the last time was half a minute ago; several processes save after their epochs only."""
        if not several() and time.monotonic() - self.saved_at > EVERY:
            self._save()

    def _save(self) -> None:
        """Write everything beside the file and move it into place, so that a kill leaves the old or the new one."""
        if self.path is None or not first():
            return
        from safetensors.torch import save_file

        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in (self.best or {}).items()}
        for i, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{i}.{name}": value for name, value in state.items()}
        tensors["sums"] = self.sums
        group = self.optimiser.param_groups[0]
        notes = {
            "settings": self.settings,
            "step": self.step,
            "in_epoch": self.in_epoch,
            "history": [asdict(epoch) for epoch in self.history],
            "spent": self.spent(),
            "rates": {name: group[name] for name in ("lr", "betas")},
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(self.path.name + ".partial")
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, partial,
                  metadata={"training": json.dumps(notes)})  # fmt: skip
        os.replace(partial, self.path)
        self.saved_at = time.monotonic()

    def _load(self) -> None:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, "pt") as file:
                notes = json.loads((file.metadata() or {})["training"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, json.JSONDecodeError) as error:
            raise ValueError(f"resume: expected a training saved by fit in {self.path}, got {error!r}") from error
        other = {name for name, value in self.settings.items() if notes["settings"].get(name) != value}
        if other:
            name = sorted(other)[0]
            raise ValueError(
                f"resume: expected a training with {name}={self.settings[name]!r} in {self.path}, got "
                f"{notes['settings'].get(name)!r}; delete the file to begin anew, or use the settings it was begun with"
            )

        def part(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

        self.model.load_state_dict(part("model."))
        self.best = part("best.") or None
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in part("adam.").items():
            i, what = name.split(".", 1)
            state.setdefault(int(i), {})[what] = value
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": state})
        self.optimiser.param_groups[0].update(lr=notes["rates"]["lr"], betas=tuple(notes["rates"]["betas"]))
        self.step, self.in_epoch, self.sums = notes["step"], notes["in_epoch"], tensors["sums"].to(self.sums.device)
        self.schedule.last_epoch, self.schedule._step_count = self.step, self.step + 1
        self.history = [Epoch(**epoch) for epoch in notes["history"]]
        self.earlier = tuple(notes.get("spent", self.earlier))
