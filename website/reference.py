"""What the reference describes: every public name of every room, with signature and docstring, read by pdoc."""

import re
import sys
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

from .sources import PACKAGE, REPOSITORY, SiteError

# In the order in which one meets them: Δ, what searches it, what measures, bounds and trains; then the rest.
ROOMS = (
    "threat",
    "attacks",
    "losses",
    "evaluation",
    "certification",
    "training",
    "models",
    "data",
    "data.signs",
    "perception",
    "explanation",
    "theory",
    "features",
    "plots",
    "widgets",
    "checks",
    "lessons",
    "capstone",
    "runtime",
    "contract",
    "checkpoints",
)
# Names as they are imported, not as torch or the package files them.
SHORTER = (
    (r"\bcs329t_robust(?:\.\w+)+\.(\w+)", r"\1"),
    (r"\btorch(?:\.\w+)*\.(Tensor|Generator|Module|device|dtype)\b", r"\1"),
    (r"\b(?:collections\.abc|typing|pathlib|matplotlib\.figure)\.(\w+)", r"\1"),
    (r"<(?:function|class) '?(?:\w+\.)*(\w+)'?(?: at 0x\w+)?>", r"\1"),
    (r"PosixPath\('[^']*/data/", "Path('data/"),
)


@dataclass
class Entry:
    """One public name: its kind, its signature, its docstring; for a class also its methods and properties.

    Attributes
    ----------
    name : str
        As it is written after an import; a method's with its class before the dot.
    kind : {"class", "function", "property", "constant"}
    signature : str
        Its parameters in parentheses and what it returns; empty where there are none to give.
    docstring : str
    home : str
        The module that a reader imports it from.
    members : list of Entry
    inherited : dict of str to list of str
        What a class has from each of the package's others, by that one's name.
    """

    name: str
    kind: str
    signature: str
    docstring: str
    home: str
    members: list["Entry"] = field(default_factory=list)
    inherited: dict[str, list[str]] = field(default_factory=dict)


@cache
def pdoc() -> ModuleType:
    """Import pdoc from the website's own environment, whose packages come after all others.

    Raises
    ------
    SiteError
        If it is not installed there.
    """
    found = sorted((Path(__file__).resolve().parent / ".venv").glob("[Ll]ib/**/site-packages/pdoc/__init__.py"))
    if not found:
        raise SiteError("pdoc: expected the package of website/requirements.lock in website/.venv; run: make site")
    sys.path.append(str(found[0].parent.parent))
    for part in ("doc", "doc_ast", "docstrings", "render_helpers"):
        import_module(f"pdoc.{part}")
    return sys.modules["pdoc"]


def room_module(room: str) -> ModuleType:
    """Return the module of a room, such as ``"threat"`` or ``"data.signs"``."""
    return import_module(f"{PACKAGE}.{room}")


def source_of(room: str) -> str:
    """Return the file of the repository that stands for a room: a link to it leads to the room's page."""
    return Path(room_module(room).__file__).relative_to(REPOSITORY).as_posix()


def entries(room: str) -> list[Entry]:
    """Return every public name of a room by the alphabet: what can be called, then the constants.

    Raises
    ------
    SiteError
        If one of them has no docstring.
    """
    module = room_module(room)
    found = [_entry(module, name) for name in module.__all__]
    for entry in found:
        if not entry.docstring:
            raise SiteError(f"{module.__name__}: its public name {entry.name} has no docstring")
    return sorted(found, key=lambda entry: (entry.kind == "constant", entry.name.lower()))


def _entry(module: ModuleType, name: str) -> Entry:
    value = getattr(module, name)
    package = sys.modules[PACKAGE]
    home = PACKAGE if name in package.__all__ and getattr(package, name) is value else module.__name__
    where = (getattr(value, "__module__", ""), getattr(value, "__qualname__", ""))
    if isinstance(value, type):
        doc = pdoc().doc.Class(where[0], name, value, where)
        members = [made for member in doc.own_members if (made := _member(member, home))]
        inherited = {
            base: [member.name for member in of if _member(member, home)]
            for (where, base), of in doc.inherited_members.items()
            if where.startswith(PACKAGE)
        }
        inherited = {base: names for base, names in inherited.items() if names}
        return Entry(name, "class", _constructor(value, where), doc.docstring, home, members, inherited)
    if callable(value) and where[1]:
        doc = pdoc().doc.Function(where[0], name, value, where)
        return Entry(name, "function", _short(doc.signature), doc.docstring, home)
    return Entry(name, "constant", "", _constant_docstring(module, name), home)


def _member(doc: object, home: str) -> Entry | None:
    """Return a class's own method or property; None for one that is private, undocumented or somebody else's."""
    public = not doc.name.startswith("_") or doc.name == "__call__"
    if not public or not doc.docstring or not doc.taken_from[0].startswith(PACKAGE):
        return None
    if doc.kind == "function":
        return Entry(doc.qualname, "function", _short(doc.signature_without_self), doc.docstring, home)
    return Entry(doc.qualname, "property", "", doc.docstring, home) if doc.kind == "variable" else None


def _constructor(value: type, where: tuple[str, str]) -> str:
    """Return what a class is called with; nothing for an exception, and for what only others build upon."""
    name = "__init__" if value.__init__ is not object.__init__ else "__new__"  # as a named tuple has it
    if issubclass(value, Exception) or getattr(value, name) is getattr(object, name):
        return ""
    made = pdoc().doc.Function(where[0], f"{where[1]}.{name}", getattr(value, name), where).signature_without_self
    return _short(made.replace(return_annotation=made.empty))


def _short(signature: object) -> str:
    text = str(signature)
    for long, short in SHORTER:
        text = re.sub(long, short, text)
    return text


def _constant_docstring(module: ModuleType, name: str) -> str:
    """Return the string below a constant's assignment, in whichever file of its room that is."""
    for other in sorted(key for key in sys.modules if key == module.__name__ or key.startswith(f"{module.__name__}.")):
        found = pdoc().doc_ast.walk_tree(sys.modules[other]).var_docstrings.get(name)
        if found:
            return found
    return ""
