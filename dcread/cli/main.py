"""The command ``dcread``."""

from __future__ import annotations

import os
import sys
import warnings
from typing import TYPE_CHECKING, TextIO

import click

from .. import __version__
from . import (
    basins,
    cache,
    completion,
    concat,
    demo,
    diff,
    export,
    flicker,
    info,
    plugins,
    preview,
    salvage,
    screen,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = (
    info.command,
    basins.command,
    flicker.command,
    verify.command,
    preview.command,
    diff.command,
    export.command,
    salvage.command,
    concat.command,
    demo.command,
    plugins.command,
    cache.command,
    completion.command,
)
"""The sub-commands, in the order of the help text.

Their modules import nothing heavy before they run, so that help is there at once.
"""


class _InOrder(click.Group):
    """A group that lists its commands as they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=_InOrder,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 done, 1 something cannot be read, 2 wrong usage.",
)
@click.version_option(__version__, message="dcread %(version)s")
def dcread() -> None:
    """Read deformability cytometry measurements (.rtdc files)."""


for _command in COMMANDS:
    dcread.add_command(_command)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process by default.

    Returns
    -------
    status : int
        0 if all went well, 1 if data could not be read or written (2 of ``diff``), 2
        for wrong usage, 130 after an interrupt.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    told = screen.Screen(as_json="--json" in arguments)
    failed = 2 if arguments[:1] == ["diff"] else 1  # (1 says that two files differ)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            screen.accept_any_text()
            status = _invoke(arguments)
        print(end="", flush=True)
    except click.UsageError as error:
        told.fail(_usage(error), "UsageError")
        return 2
    except click.ClickException as error:
        told.fail(error.format_message(), type(error).__name__)
        return 2
    except BrokenPipeError:
        # The reader of our output went away (``dcread info ... | head``).
        screen.swallow_broken_pipe()
        return failed
    except KeyboardInterrupt:
        told.fail("interrupted", "KeyboardInterrupt")
        return 130
    except Exception as error:
        _fail(told, error)
        return failed
    return status


def _invoke(arguments: list[str]) -> int:
    if "_DCREAD_COMPLETE" in os.environ:  # the shell asks; click answers and exits
        dcread.main(arguments, "dcread")
    try:
        with dcread.make_context("dcread", arguments) as context:
            return int(dcread.invoke(context) or 0)
    except click.exceptions.Exit as done:  # after --help and --version
        return done.exit_code


def _fail(told: screen.Screen, error: Exception) -> None:
    """Tell an error on one line, unless it is a mistake of ours."""
    from ..survey.examine import described

    text = described(error)
    if "please report" in text["message"]:
        raise error
    told.fail(text["message"], text["type"])


def _usage(error: click.UsageError) -> str:
    message = error.format_message().rstrip(".").replace("\n", " ")
    path = error.ctx.command_path if error.ctx is not None else "dcread"
    return f"{message} (see '{path} --help')"


def _show_warning(  # noqa: PLR0917  (the signature of warnings.showwarning)
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Tell people what a warning says, not where in the code it was raised."""
    context = click.get_current_context(silent=True)
    quiet = context is not None and bool(context.params.get("quiet"))
    screen.Screen(quiet=quiet).warn(message)


if __name__ == "__main__":
    sys.exit(main())
