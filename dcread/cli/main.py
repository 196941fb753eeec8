"""The command ``dcread``."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from typing import TYPE_CHECKING, TextIO

from .. import __version__
from ..errors import DCReadError
from . import basins, concat, demo, flicker, info, output, preview, verify

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = (info, basins, flicker, preview, verify, concat, demo)
"""The modules of the sub-commands, in the order of the help text.

Each has ``NAME``, ``HELP``, ``add_arguments(parser)`` and ``run(args)``, which
returns the exit status.
"""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="dcread",
        description="Read deformability cytometry measurements (.rtdc files).",
        epilog="Exit status: 0 done, 1 something cannot be read, 2 wrong usage.",
    )
    parser.add_argument("--version", action="version", version=f"dcread {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in COMMANDS:
        command = commands.add_parser(
            module.NAME, help=module.HELP, description=module.HELP
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process by default.

    Returns
    -------
    status : int
        0 if all went well, 1 if data could not be read or written. Wrong usage
        ends the process with status 2.
    """
    args = make_parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            status: int = args.run(args)
        print(end="", flush=True)
    except BrokenPipeError:
        # The reader of our output went away (``dcread info ... | head``).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        output.say("dcread: interrupted", error=True)
        return 130
    except (DCReadError, ImportError, OSError, ValueError) as error:
        output.say(f"dcread: {error}", error=True)
        return 1
    except RuntimeError as error:
        if not _is_from_h5py(error):
            raise
        output.say(
            f"dcread: HDF5 says: {error}; the file may be damaged: "
            "'dcread verify FILE' tells where",
            error=True,
        )
        return 1
    except MemoryError as error:
        output.say(f"dcread: not enough memory: {error}", error=True)
        return 1
    return status


def _is_from_h5py(error: BaseException) -> bool:
    """Tell whether h5py raised an error, as it does for damaged structures."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__name__", "")).startswith("h5py.")


def _show_warning(  # noqa: PLR0917  (the signature of warnings.showwarning)
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Tell people what a warning says, not where in the code it was raised."""
    output.say(f"dcread: warning: {message}", error=True)


if __name__ == "__main__":
    sys.exit(main())
