"""``dcread completion``: let the shell complete commands, options and files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command(
    "completion",
    short_help="Print a script that lets the shell complete commands, "
    "options and files.",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print a script that makes a shell complete commands, options and files.

    For bash put this into ~/.bashrc: eval "$(dcread completion bash)"
    """
    found = get_completion_class(shell)
    root = click.get_current_context().find_root().command
    assert found is not None  # those of the choice are click's own
    click.echo(found(root, {}, "dcread", "_DCREAD_COMPLETE").source())
    return 0
