"""Where the files of data/ lie, and what is said of one that is missing: how to get it, or to make it again."""

import os
from pathlib import Path

SHIPPED = Path(__file__).resolve().parent.parent.parent / "data"


class DataError(Exception):
    """A data file is missing or damaged: the message names it, what was expected, what came, the repair."""


def folders() -> list[Path]:
    """Return the data folders that exist: the one that ``$CS329T_DATA`` names, then the repository's own.

    Raises
    ------
    DataError
        If ``$CS329T_DATA`` names no folder.
    """
    given = os.environ.get("CS329T_DATA", "").strip()
    own = Path(given).expanduser() if given else None
    if own and not own.is_dir():
        raise DataError(f"CS329T_DATA: expected a folder, got {given!r}, which is none; create it or unset CS329T_DATA")
    return [place for place in (own, SHIPPED) if place and place.is_dir()]


def root(inside: str, repair: str) -> Path:
    """Return the data folder that holds `inside`: ``$CS329T_DATA``, else the repository's own.

    Where neither holds it, the folder that it would be downloaded to.

    Parameters
    ----------
    inside : str
        A file or folder in it, such as ``mnist/t10k-labels-idx1-ubyte.gz``.
    repair : str
        The command that brings `inside` into an empty ``$CS329T_DATA``.

    Raises
    ------
    DataError
        If ``$CS329T_DATA`` names no folder, or there is neither it nor a repository.
    """
    places = folders()
    if not places:
        raise DataError(
            f"{inside}: no data folder\n"
            "  expected: the repository's data/ folder beside the package, or a folder named by CS329T_DATA\n"
            "  got:      neither (was the package installed without the repository?)\n"
            "  repair:   export CS329T_DATA=/path/to/a/clone/of/the/repository/data; or, without a clone:\n"
            f"            {in_a_new_folder(inside, repair)}"
        )
    return next((place for place in places if (place / inside).exists()), places[0])


def in_a_new_folder(inside: str, repair: str) -> str:
    """Return the commands that make a data folder and bring `inside` into it."""
    folder = (Path("my-data") / inside).parent.as_posix()
    return f"mkdir -p {folder}; export CS329T_DATA=$PWD/my-data; {repair}"


def shipped(inside: str, command: str, *, first: str = "") -> Path:
    """Return where a file of data/ lies.

    Parameters
    ----------
    inside : str
        The file's path in data/.
    command : str
        What makes it again, with FILE in the place of its path.
    first : str
        What has to be run before, in an empty data folder.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        If no data folder holds it; the message says how to get it or to make it again.
    """
    before = f"{first}; " if first else ""
    path = root(inside, before + command.replace("FILE", f"$CS329T_DATA/{inside}")) / inside
    if not path.is_file():
        folder = "" if path.parent.is_dir() else f"mkdir -p {path.parent}; "
        raise DataError(
            f"{path} is missing\n"
            "  expected: a file that the repository's data/ folder holds\n"
            "  got:      nothing\n"
            f"  repair:   {folder}{command.replace('FILE', str(path))}"
        )
    return path
