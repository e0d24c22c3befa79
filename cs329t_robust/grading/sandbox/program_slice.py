"""Cut out of a notebook what one answer needs: its function, and the statements that define the names it uses."""

import ast
import builtins
import linecache
import symtable
from dataclasses import dataclass, field
from typing import Any

from ...runtime.extras import needed_by

IMPORTS = (ast.Import, ast.ImportFrom)


class Unreadable(Exception):
    """The answer is no Python, or defines no function of the asked name; the message says so to the student."""


@dataclass
class Statement:
    """One top-level statement of a cell, with the names it binds, uses, and changes in place."""

    cell: int
    role: str
    node: ast.stmt
    binds: set[str] = field(default_factory=set)
    uses: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)
    star: bool = False


def run(cells: list[dict], goal: str) -> dict[str, Any]:
    """Execute what `goal` needs of the cells, in their order, and return the namespace.

    A cell is ``{"role": "given" | "own" | "answer", "source": …}``. Of each cell only those top-level statements run
    that bind a name which the answer needs, directly or through other such statements, so a broken or endless cell
    elsewhere in the notebook does not matter.

    Raises
    ------
    Unreadable
        If the answer's cell is no Python or does not bind `goal`.
    """
    statements: list[Statement] = []
    for at, cell in enumerate(cells):
        linecache.cache[_name(at)] = (len(cell["source"]), None, cell["source"].splitlines(True), _name(at))
        statements += _statements(at, cell["role"], cell["source"])
    space: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
    for statement in _needed(statements, goal):
        module = ast.Module([statement.node], type_ignores=[])
        exec(compile(module, _name(statement.cell), "exec"), space)
    return space


def _name(cell: int) -> str:
    return f"<cell {cell}>"


def _statements(at: int, role: str, source: str) -> list[Statement]:
    try:
        return [_examine(Statement(at, role, node)) for node in _parse(source, _name(at)).body]
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if role != "answer":
            return []
        where = f" (line {error.lineno}: {(error.text or '').strip()})" if isinstance(error, SyntaxError) else ""
        raise Unreadable(f"Your cell is no Python{where}: {getattr(error, 'msg', error)}") from error


def _parse(source: str, name: str) -> ast.Module:
    try:
        return ast.parse(source, name)
    except SyntaxError:
        with needed_by("a cell with magics or shell lines"):
            from IPython.core.inputtransformer2 import TransformerManager

        try:
            transformed = TransformerManager().transform_cell(source)
        except SyntaxError:
            transformed = source
        if transformed.rstrip() == source.rstrip():
            raise
        return ast.parse(transformed, name)  # had magics, such as %time, or shell lines


def _examine(statement: Statement) -> Statement:
    table = symtable.symtable(ast.unparse(statement.node), "cell", "exec")
    for symbol in table.get_symbols():
        if symbol.is_assigned() or symbol.is_imported():
            statement.binds.add(symbol.get_name())
    statement.uses = _global_names(table, top=True)
    for node in ast.walk(statement.node):
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            statement.star = True
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            statement.uses.add(node.target.id)
    if not isinstance(statement.node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        statement.changes = {name for node in ast.walk(statement.node) if (name := _changed(node))}
    return statement


def _global_names(table: symtable.SymbolTable, top: bool) -> set[str]:
    names = {s.get_name() for s in table.get_symbols() if s.is_referenced() and (top or s.is_global())}
    for child in table.get_children():
        names |= _global_names(child, top=False)
    return names


def _changed(node: ast.AST) -> str | None:
    """Return the name whose object an assignment such as ``a.b = …`` or ``a[i] = …`` changes."""
    if not isinstance(node, ast.Attribute | ast.Subscript) or not isinstance(node.ctx, ast.Store):
        return None
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _needed(statements: list[Statement], goal: str) -> list[Statement]:
    own = [at for at, s in enumerate(statements) if s.role == "answer" and goal in s.binds]
    if not own:
        found = sorted({name for s in statements if s.role == "answer" for name in s.binds})
        raise Unreadable(
            f"Expected a function {goal} in the answer's cell, got {', '.join(found) or 'no definition at all'}: "
            "keep the function's name."
        )
    chosen = {own[-1], *(at for at, s in enumerate(statements) if s.star)}
    waiting = list(chosen)
    while waiting:
        at = waiting.pop()
        found = {_binder(statements, name, at) for name in statements[at].uses}
        found |= {other for other, s in enumerate(statements) if _changes(s, statements[at])}
        new = found - chosen - {None}
        chosen |= new
        waiting += new
    return [statements[at] for at in sorted(chosen)]


def _changes(statement: Statement, bound: Statement) -> bool:
    """Say whether a student's statement changes what another binds; none may patch a module for other exercises."""
    if not statement.changes & bound.binds or statement.role == "given":
        return False
    return statement.role == "answer" or (bound.role != "given" and not isinstance(bound.node, IMPORTS))


def _binder(statements: list[Statement], name: str, use: int) -> int | None:
    """Return the last statement before the use that binds the name, else the first one after it."""
    at = [i for i, s in enumerate(statements) if name in s.binds and i != use]
    earlier = [i for i in at if i < use]
    if earlier or name in statements[use].binds:
        return earlier[-1] if earlier else None
    return at[0] if at else None
