"""Let nbval accept a number that its stored output states a tolerance for, such as "12.5 ± 0.3", and nothing else.

pytest finds this file beside the notebooks, so that plain `pytest --nbval lessons` compares in this way.
"""

import copy
import re
from collections import defaultdict

from nbval import plugin

MEASURED = re.compile(r"[ \t]*(?<![\w.])([-−+]?\d+(?:\.\d+)?)(%?) ± (\d+(?:\.\d+)?)(?![\w.])")
COMPARED = ("text", "text/plain", "text/html")
compare_outputs = plugin.IPyNbCell.compare_outputs


def within_tolerance(new: str, stored: str) -> str:
    """Return the new text with each stored number in place of one that lies within the tolerance stored beside it."""
    pairs = list(zip(MEASURED.finditer(new), MEASURED.finditer(stored), strict=False))
    for one, other in reversed(pairs):
        (value, unit, tolerance), expected = one.groups(), other.groups()
        same_kind = (unit, tolerance) == expected[1:]
        # decimal text to float and back: one unit in the last place of rounding error must not decide
        if same_kind and abs(_number(value) - _number(expected[0])) <= float(tolerance) * (1 + 1e-9):
            new = new[: one.start()] + other[0] + new[one.end() :]
    return new


def _number(text: str) -> float:
    return float(text.replace("−", "-"))


def _texts(outputs: list[dict]) -> dict[str, list[tuple[dict, str]]]:
    """Return, for each kind of output, where its texts stand, in order."""
    found = defaultdict(list)
    for output in outputs:
        for holder in (output, output.get("data", {})):
            for key in COMPARED:
                if isinstance(holder.get(key), str):
                    found[f"{output.get('name', '')} {key}"].append((holder, key))
    return found


def _compare(self: plugin.IPyNbCell, test: list[dict], ref: list[dict], skip_compare: object = None) -> bool:
    test, stored = copy.deepcopy(test), _texts(ref)
    for kind, places in _texts(test).items():
        for (holder, key), (other, _) in zip(places, stored[kind], strict=False):
            holder[key] = within_tolerance(holder[key], other[key])
    return compare_outputs(self, test, ref, skip_compare)


plugin.IPyNbCell.compare_outputs = _compare
