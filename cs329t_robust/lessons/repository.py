"""Where the workbook's repository is, as pyproject.toml says, and what follows: links to Google Colab and Binder."""

import re
import tomllib
from pathlib import Path
from urllib.parse import quote

PROJECT = Path(__file__).resolve().parent.parent.parent / "pyproject.toml"
GITHUB = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")


def address(project: Path = PROJECT) -> str:
    """Return the repository's address, ``[project.urls] Repository`` of pyproject.toml, or an empty text if unset.

    Raises
    ------
    ValueError
        If it is set to something that is no https address.
    """
    if not project.is_file():
        return ""
    urls = tomllib.loads(project.read_text(encoding="utf-8"))["project"].get("urls", {})
    found = urls.get("Repository", "")
    if found and not re.fullmatch(r"https://[^\s'\"\\]+", found):
        raise ValueError(f"pyproject.toml, [project.urls] Repository: expected an https:// address, got {found!r}")
    return found


def links(notebook: str, repository: str | None = None) -> list[tuple[str, str]]:
    """Return (name, address) of where a notebook of a public GitHub repository can be opened: Colab and Binder.

    Parameters
    ----------
    notebook : str
        Its path in the repository, such as ``lessons/00_start_here.ipynb``.
    repository : str, optional
        The repository's address; by default what `address` says.

    Returns
    -------
    list
        Empty if no address is set, or it is not GitHub's.
    """
    match = GITHUB.fullmatch(address() if repository is None else repository)
    if not match:
        return []
    lab = quote(f"lab/tree/{notebook}", safe="")
    return [
        ("Google Colab", f"https://colab.research.google.com/github/{match[1]}/blob/main/{quote(notebook)}"),
        ("Binder", f"https://mybinder.org/v2/gh/{match[1]}/main?urlpath={lab}"),
    ]
