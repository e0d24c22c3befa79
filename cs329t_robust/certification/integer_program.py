"""A ReLU network as a mixed-integer program, for HiGHS by way of scipy."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from .network import Box, Stage

SOLVED, STOPPED, INFEASIBLE = 0, 1, 2  # what scipy's milp answers with
Part = tuple[Any, np.ndarray]  # coefficients, and the variables that they multiply


@dataclass(frozen=True)
class Solution:
    """The solver's answer: no value is above `bound`; `pixels` reach the best value met, None if none was."""

    bound: float
    pixels: np.ndarray | None
    nodes: int


class Program:
    """The network within the box, as constraints over the pixels, each layer's outputs h and its switches a.

    A ReLU h = max(z, 0) whose input z ranges over [l, u], l < 0 < u, is
    h >= 0, h >= z, h <= u·a, h <= z − l·(1 − a), with a switch a that is 0 or 1.
    """

    def __init__(self, stages: dict[int, Stage], box: Box, inputs: list[Box | None]) -> None:
        self.pixels = box.low.numel()
        low, high, whole = [_array(box.low)], [_array(box.high)], [np.zeros(self.pixels)]
        self.rows: list[tuple[Part, ...]] = []
        self.ends: list[tuple[np.ndarray, np.ndarray]] = []
        self.width, self.places = self.pixels, {0: np.arange(self.pixels)}
        for i, stage in stages.items():
            l, u = _array(inputs[i].low), _array(inputs[i].high)
            open_, on = np.flatnonzero((l < 0) & (u > 0)), np.flatnonzero(l >= 0)
            h = self.width + np.arange(len(l))
            a = self.width + len(l) + np.arange(len(open_))
            self.width += len(l) + len(open_)
            low += [l.clip(0), np.zeros(len(open_))]
            high += [u.clip(0), np.ones(len(open_))]
            whole += [np.zeros(len(l)), np.ones(len(open_))]
            weights, bias = {j: _array(w).reshape(len(l), -1) for j, w in stage.weights.items()}, _array(stage.bias)
            less_on, less_open = ([(-w[at], self.places[j]) for j, w in weights.items()] for at in (on, open_))
            self._add([(1.0, h[on]), *less_on], bias[on], bias[on])
            self._add([(1.0, h[open_]), *less_open], bias[open_], np.inf)
            self._add([(1.0, h[open_]), (-u[open_], a)], -np.inf, 0.0)
            self._add([(1.0, h[open_]), *less_open, (-l[open_], a)], -np.inf, bias[open_] - l[open_])
            self.places[i] = h
        self.low, self.high, self.whole = (np.concatenate(parts) for parts in (low, high, whole))

    def _add(self, parts: list[Part], low: np.ndarray | float, high: np.ndarray | float) -> None:
        count = len(parts[0][1])
        if count:
            self.rows.append(tuple(parts))
            self.ends.append((np.broadcast_to(low, count), np.broadcast_to(high, count)))

    def highest(self, objective: dict[int, Tensor], seconds: float, at_least: float) -> Solution:
        """Maximise Σ objective[i]·v_i over pixels (0) and ReLUs, of interest only above `at_least`."""
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array, vstack

        if seconds <= 0:
            return Solution(np.inf, None, 0)
        costs = np.zeros(self.width)
        for i, weights in objective.items():
            costs[self.places[i]] -= _array(weights)
        rows = [_sparse(parts, self.width) for parts in self.rows] + [csr_array(costs[None])]
        low, high = zip(*self.ends, (np.array([-np.inf]), np.array([-at_least])), strict=True)
        limit = {"time_limit": seconds} if np.isfinite(seconds) else {}
        answer = milp(
            costs,
            integrality=self.whole,
            bounds=Bounds(self.low, self.high),
            constraints=LinearConstraint(vstack(rows), np.concatenate(low), np.concatenate(high)),
            options={"mip_rel_gap": 0.0} | limit,
        )
        nodes = int(answer.get("mip_node_count") or 0)
        if answer.status == INFEASIBLE:
            return Solution(at_least, None, nodes)
        if answer.status not in (SOLVED, STOPPED):
            raise RuntimeError(f"HiGHS gave up on a program that has a solution: {answer.message}")
        proven = answer.get("mip_dual_bound")
        if proven is None:
            proven = answer.fun if answer.status == SOLVED else -np.inf
        return Solution(-proven, None if answer.x is None else answer.x[: self.pixels], nodes)


def _sparse(parts: tuple[Part, ...], width: int) -> Any:
    """Return the rows Σ coefficients·variables; one coefficient a variable stands for a diagonal."""
    from scipy.sparse import coo_array, csr_array

    total = csr_array((len(parts[0][1]), width))
    for coefficients, places in parts:
        if np.ndim(coefficients) == 2:
            row, column = np.nonzero(coefficients)
            values = coefficients[row, column]
        else:
            row = column = np.arange(len(places))
            values = np.broadcast_to(coefficients, len(places))
        total = total + csr_array(coo_array((values, (row, places[column])), total.shape))
    return total


def _array(values: Tensor) -> np.ndarray:
    """Return the values of one image, or a matrix whose rows belong to them."""
    return values.flatten().cpu().numpy()
