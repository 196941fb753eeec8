"""What commands for many files share: they ask, show the answers, write a table."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..survey import Input, Record, examine_all, find_inputs, shown
from ..survey.inputs import full_path
from ..survey.rows import is_bad, reasons, row, state
from .ends_in_order import ends_in_order
from .table import Column, Table
from .uninterrupted import uninterrupted

if TYPE_CHECKING:
    from ..survey.table_file import TableFile
    from .progress import ProgressBar
    from .screen import Screen

STYLES = {
    "ok": "green",
    "steady": "green",
    "drifts": "yellow",
    "flickers": "yellow",
    "missing": "red",
    "no images": "red",
    "unreadable": "red",
    "given up": "red",
}
CONNECT_SECONDS = 10.0
"""How long to wait for a scheduler of dask."""
MOST_NAMED = 20
"""Files that the summary names for one verdict, on a terminal."""


@dataclass(frozen=True)
class View:
    """How the answers of one command are shown.

    Attributes
    ----------
    question : str
        The question of the survey.
    columns : sequence of Column
        Of the table, between name and verdict.
    values : callable
        Gives the texts of these columns for a record without error.
    page : callable
        Shows all of a record, where there is one file only.
    """

    question: str
    columns: Sequence[Column]
    values: Callable[[Record], Sequence[str]]
    page: Callable[[Screen, Record], None]


@dataclass(frozen=True)
class Request:
    """What the options of a command with many files say."""

    files: tuple[str, ...]
    output: pathlib.Path | None
    overwrite: bool
    resume: bool
    jobs: int
    dask: str | None
    timeout: float | None


def run(
    screen: Screen, view: View, options: Mapping[str, Any], request: Request
) -> int:
    """Ask, show, write the table; return the exit status, the worst of all."""
    inputs = find_inputs(request.files)
    names = [shown(item.path) for item in inputs]
    target = _table_file(view, request, inputs)
    skipped, worst = 0, 0
    if target is not None and request.resume:
        paths = [shown(full_path(item.path)) for item in inputs]
        known = [target.holds(path) for path in paths]
        skipped = sum(known)
        old = [path for path, held in zip(paths, known, strict=True) if held]
        worst = int(any(map(target.is_bad, old)))
        inputs = [i for i, held in zip(inputs, known, strict=True) if not held]
        names = [shown(item.path) for item in inputs]
    alone = len(inputs) == 1 and not skipped
    table = None
    if not screen.as_json and not alone and inputs:
        table = Table(screen, names, view.columns)
    records: list[tuple[str, Record]] = []
    try:
        with (
            _saved(target),
            _progress(screen, view, inputs) as (bar, progress),
            contextlib.closing(
                _records(request, view, options, inputs, progress)
            ) as all_,
        ):
            for index, record in all_:
                with uninterrupted():
                    records.append((names[index], record))
                    if target is not None:
                        target.add(row(record))
                    if screen.as_json:
                        screen.json(_public(record))
                    elif alone:
                        _show_alone(screen, view, record)
                    elif table is not None:
                        _show_row(table, view, names[index], record)
                    if bar is not None:
                        bar(1)
    except KeyboardInterrupt:
        if table is not None:
            _summarise(screen, records, len(inputs), skipped)
        raise
    if table is not None:
        _summarise(screen, records, len(inputs), skipped)
    elif skipped and not screen.as_json:
        screen.note(f"all {skipped:,} files are in {request.output} already")
    return max([worst, *(int(is_bad(record)) for _, record in records)])


def _public(record: Record) -> Record:
    return {name: value for name, value in record.items() if name != "summary"}


def _table_file(
    view: View, request: Request, inputs: Sequence[Input]
) -> TableFile | None:
    import click

    if request.output is None:
        if request.resume:
            raise click.UsageError("--resume needs --output TABLE to go on with")
        return None
    from ..concat.new_file import refuse_inputs
    from ..survey.table_file import TableFile

    refuse_inputs(request.output, [item.path for item in inputs])
    if request.output.suffix.lower() == ".parquet":
        _require_pyarrow()
    return TableFile(
        request.output,
        view.question,
        overwrite=request.overwrite,
        resume=request.resume,
    )


def _require_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Parquet files need pyarrow (pip install pyarrow); "
            "or choose a name that ends in .csv"
        ) from error


@contextlib.contextmanager
def _saved(target: TableFile | None) -> Iterator[None]:
    """Write the table in the end, however that comes."""
    if target is None:
        yield
        return
    with ends_in_order():
        try:
            yield
        finally:
            if not target.is_empty:
                target.write()


def _records(
    request: Request,
    view: View,
    options: Mapping[str, Any],
    inputs: Sequence[Input],
    progress: Callable[[int, int], None] | None,
) -> Generator[tuple[int, Record], None, None]:
    with contextlib.ExitStack() as stack:
        client = None
        if request.dask is not None:
            client = stack.enter_context(_connected(request.dask))
        yield from examine_all(
            inputs,
            view.question,
            options,
            jobs=request.jobs,
            client=client,
            patience=request.timeout,
            progress=progress,
        )


def _connected(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(
            "--dask needs distributed (pip install distributed)"
        ) from error
    try:
        return Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OSError(f"no dask scheduler at {address}: {reason}") from error


@contextlib.contextmanager
def _progress(
    screen: Screen, view: View, inputs: Sequence[Input]
) -> Iterator[tuple[ProgressBar | None, Callable[[int, int], None] | None]]:
    """Show bytes of a single file that is read as a whole, else files."""
    if len(inputs) > 1:
        with screen.progress("files", len(inputs)) as bar:
            yield bar, None
    elif view.question == "verify":
        with screen.progress("reading", 0, "B") as bar:
            yield None, bar.set
    else:
        yield None, None


def _show_alone(screen: Screen, view: View, record: Record) -> None:
    for warning in record["warnings"]:
        screen.warn(warning)
    if record["error"] is not None:
        screen.fail(record["error"]["message"])
    else:
        view.page(screen, record)


def _show_row(table: Table, view: View, name: str, record: Record) -> None:
    values = ["-"] * len(view.columns)
    if record["error"] is None:
        values = list(view.values(record))
    verdict = state(record)
    told = reasons(record)
    table.row(
        name, values, verdict, STYLES.get(verdict, "yellow"), told[0] if told else ""
    )


def _summarise(
    screen: Screen, records: list[tuple[str, Record]], number: int, skipped: int
) -> None:
    """Print how many files got which verdict, and which got a bad one."""
    if screen.quiet:
        return
    by_state: dict[str, list[tuple[str, Record]]] = {}
    for name, record in records:
        verdict = state(record)
        kind = "with problems" if verdict.endswith(("problem", "problems")) else verdict
        kind = "with a basin missing" if kind[0].isdigit() else kind
        by_state.setdefault(kind, []).append((name, record))
    parts = [f"{len(found):,} {kind}" for kind, found in sorted(by_state.items())]
    left = number - len(records)
    if left:
        parts.append(f"{left:,} not looked at")
    if skipped:
        parts.append(f"{skipped:,} in the table already")
    files = "1 file" if number + skipped == 1 else f"{number + skipped:,} files"
    screen.say()
    screen.wrap(f"{files}: {', '.join(parts) or 'nothing to look at'}", "  ", "")
    if not screen.is_terminal:
        return  # each line of the table has the reason in full
    for kind, found in sorted(by_state.items()):
        if kind in ("ok", "steady"):
            continue
        screen.say(f"\n{kind}")
        for name, record in found[:MOST_NAMED]:
            told = reasons(record)
            more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
            text = f"{name}: {told[0]}{more}" if told else name
            screen.wrap(text, "    ", "  ")
        if len(found) > MOST_NAMED:
            screen.say(f"  and {len(found) - MOST_NAMED:,} more")
