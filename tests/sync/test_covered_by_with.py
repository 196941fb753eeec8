"""No interrupt can leave a block that holds a lock without giving the lock back.

CPython 3.12 and 3.13 leave some jumps backward out of the table of a ``with`` or
``try`` block: those that end a loop body whose last statement is conditional. An
interrupt that comes at such a jump skips ``__exit__`` and ``finally`` of the function.
What holds a lock therefore calls another function for such a loop: there the interrupt
leaves the function, and arrives at the call, which is in the table.
"""

from __future__ import annotations

import ast
import dis
import pathlib
import re
from collections.abc import Iterator
from types import CodeType

import pytest

import dcread

ROOT = pathlib.Path(dcread.__file__).parent
HOLDS = re.compile(r"lock\b|loads\b|\bmine\b|\bclaim\b|\bin_turn\(|_here\(|^self$")
"""What the context managers that hold a lock are called, here and there."""
ENDS = re.compile(r"release\(|close\(|back_to\(|_finish\(")
"""What a ``finally`` does that must not be left out."""


def code_objects(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from code_objects(constant)


def uncovered_jumps(code: CodeType) -> Iterator[int]:
    """Give the lines of jumps between two stretches that one handler covers."""
    instructions = dis.Bytecode(code)
    entries = sorted((e.start, e.end, e.target) for e in instructions.exception_entries)
    for instruction in instructions:
        at = instruction.offset
        if not instruction.opname.startswith("JUMP_BACKWARD"):
            continue
        if any(start <= at < end for start, end, _ in entries):
            continue
        before = {target for _, end, target in entries if end <= at}
        after = {target for start, _, target in entries if start > at}
        line = instruction.positions.lineno if instruction.positions else None
        if before & after and line is not None:
            yield line


def held_blocks(tree: ast.AST) -> Iterator[tuple[int, int, str]]:
    """Give first and last line of the blocks that must be left in order."""
    for node in ast.walk(tree):
        if isinstance(node, ast.With):
            held = [ast.unparse(item.context_expr) for item in node.items]
            found = next(filter(HOLDS.search, held), None)
        elif isinstance(node, ast.Try):
            held = [ast.unparse(statement) for statement in node.finalbody]
            found = next(filter(ENDS.search, held), None)
        else:
            continue
        if found is not None:
            yield node.body[0].lineno, node.body[-1].end_lineno or 0, found


def in_functions_within(tree: ast.AST, line: int, first: int) -> bool:
    """Tell whether a line lies in a function (or generator) made within a block."""
    inner = (ast.FunctionDef, ast.Lambda, ast.GeneratorExp)
    return any(
        isinstance(node, inner)
        and first <= node.lineno <= line <= (node.end_lineno or 0)
        for node in ast.walk(tree)
    )


def faults(source: str) -> list[str]:
    tree = ast.parse(source)
    blocks = list(held_blocks(tree))
    lines = {
        line
        for code in code_objects(compile(source, "source", "exec"))
        for line in uncovered_jumps(code)
    }
    return [
        f"line {line}, in the block of {what}"
        for line in sorted(lines)
        for first, last, what in blocks
        if first <= line <= last and not in_functions_within(tree, line, first)
    ]


@pytest.mark.parametrize(
    "path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_jump_in_a_block_with_a_lock_is_covered(path: pathlib.Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


def test_blocks_with_locks_are_found() -> None:
    source = "with h5_lock:\n    for x in y:\n        if x:\n            f(x)\n"
    assert [what for _, _, what in held_blocks(ast.parse(source))] == ["h5_lock"]
    jumps = list(uncovered_jumps(compile(source, "source", "exec")))
    assert bool(faults(source)) == bool(jumps)  # (some Pythons have no such jump)
