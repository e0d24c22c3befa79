"""Which versions of other packages the installed package requires, read without help from the package packaging."""

import re
from importlib.metadata import requires

LINE = re.compile(  # as the metadata of this project writes them
    r"(?P<name>[\w.-]+?) *(?P<wanted>(>=|==)\d+(\.\d+)*)( *; *extra == [\"'](?P<extra>\w+)[\"'])?", re.ASCII
)
EXTRAS = ("", "lessons")


def requirements(distribution: str) -> dict[str, tuple[str, str]]:
    """Return what a distribution requires, with and without the extra for the lessons: name to (version wanted, extra).

    Raises
    ------
    ValueError
        If a requirement is of another form than ``name>=1.2`` or ``name==1.2.0``, with or without an extra.
    """
    found = {}
    for line in requires(distribution) or []:
        need = LINE.fullmatch(line)
        if need is None:
            raise ValueError(f"{distribution}: expected requirements such as torch>=2.11, got {line!r}")
        extra = need["extra"] or ""
        if extra in EXTRAS:
            found[need["name"]] = need["wanted"], extra
    return found


def serves(came: str, wanted: str) -> bool:
    """Tell whether the version `came` is one that `wanted` asks for, such as ``>=1.2`` or ``==1.2.0``.

    Only the numbers of the release count, so a pre-release or a local build of it serves as well.
    """
    release = re.match(r"\d+(\.\d+)*", came)
    if release is None:
        raise ValueError(f"version: expected numbers such as 1.2.0, got {came!r}")
    one, other = _numbers(release[0]), _numbers(wanted.lstrip(">="))
    return one >= other if wanted.startswith(">=") else one == other


def _numbers(release: str) -> list[int]:
    """Return a release's numbers without zeros at the end: 2.0 is 2."""
    return [int(part) for part in re.sub(r"(\.0+)+$", "", release).split(".")]
