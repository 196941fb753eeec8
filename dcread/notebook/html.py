"""Pages of HTML: folded sections and tables, in dark and light."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence

from ..errors import DCReadError
from ..problems import escaped, one_line

MOST_ROWS = 200
"""Rows of a table; of the others only the number is told."""
MOST_TEXT = 300
"""Characters of one text."""

# The inks are those of JupyterLab or VS Code where the page is theirs.
_STYLE = """
.dcread-view{--dcr-ink0:#1f2328;--dcr-faint0:#59636e;--dcr-paper0:#ffffff;
--dcr-band0:#f3f5f7;--dcr-line0:#d1d9e0;--dcr-alarm0:#b3261e}
@media (prefers-color-scheme:dark){.dcread-view{--dcr-ink0:#e6e8ea;
--dcr-faint0:#a3abb4;--dcr-paper0:#16181b;--dcr-band0:#24282d;--dcr-line0:#3d444d;
--dcr-alarm0:#ff8a80}}
[data-theme="light"] .dcread-view,[data-jp-theme-light="true"] .dcread-view,
.vscode-light .dcread-view{--dcr-ink0:#1f2328;--dcr-faint0:#59636e;
--dcr-paper0:#ffffff;--dcr-band0:#f3f5f7;--dcr-line0:#d1d9e0;--dcr-alarm0:#b3261e}
[data-theme="dark"] .dcread-view,[data-jp-theme-light="false"] .dcread-view,
.vscode-dark .dcread-view{--dcr-ink0:#e6e8ea;--dcr-faint0:#a3abb4;
--dcr-paper0:#16181b;--dcr-band0:#24282d;--dcr-line0:#3d444d;--dcr-alarm0:#ff8a80}
.dcread-view{--dcr-ink:var(--jp-content-font-color1,var(--dcr-ink0));
--dcr-faint:var(--jp-content-font-color2,var(--dcr-faint0));
--dcr-paper:var(--jp-layout-color0,var(--dcr-paper0));
--dcr-band:var(--jp-layout-color2,var(--dcr-band0));
--dcr-line:var(--jp-border-color2,var(--dcr-line0));
color:var(--dcr-ink);background:var(--dcr-paper);border:1px solid var(--dcr-line);
border-radius:4px;padding:.6em .8em;max-width:60em;box-sizing:border-box;
font:13px/1.45 system-ui,sans-serif;text-align:left}
.dcread-view header{font-weight:600;overflow-wrap:anywhere}
.dcread-view details{border-top:1px solid var(--dcr-line);margin-top:.4em;
padding-top:.3em}
.dcread-view summary{cursor:pointer;font-weight:600}
.dcread-view summary small{font-weight:400;color:var(--dcr-faint)}
.dcread-view .dcread-scroll{overflow-x:auto}
.dcread-view table{border-collapse:collapse;margin:.3em 0;color:inherit;
border:0;font-size:inherit}
.dcread-view table th,.dcread-view table td{text-align:left;vertical-align:top;
padding:.1em .9em .1em 0;border:0;color:inherit;background:none;
overflow-wrap:anywhere;max-width:34em;white-space:normal}
.dcread-view .dcread-wide th{white-space:nowrap}
.dcread-view .dcread-wide td{overflow-wrap:break-word}
.dcread-view table thead th{color:var(--dcr-faint);font-weight:400}
.dcread-view tbody th{font-weight:600}
.dcread-view .dcread-images{display:flex;flex-wrap:wrap;gap:.5em;margin:.4em 0}
.dcread-view figure{margin:0;max-width:100%}
.dcread-view figure img{display:block;max-width:100%;height:auto;
border:1px solid var(--dcr-line);margin:0}
.dcread-view figcaption{color:var(--dcr-faint);font-size:11px}
.dcread-view p{margin:.3em 0;color:var(--dcr-faint);overflow-wrap:anywhere}
.dcread-view .dcread-alarm{color:var(--dcr-alarm0)}
"""


def page(title: str, *parts: str) -> str:
    """Return all that a notebook shows of one object."""
    style = _STYLE.replace("\n", "")
    return escaped(
        f"<style>{style}</style><div class='dcread-view'>"
        f"<header>{text(title)}</header>{''.join(parts)}</div>"
    )


def text(value: object) -> str:
    """Return a text of a file on one line, escaped and not too long."""
    shown = str(value)
    return html.escape(one_line(shown, MOST_TEXT)) if shown.strip() else ""


def section(title: str, body: str, note: object = "", *, unfolded: bool = False) -> str:
    """Return a part that can be folded; `body` is HTML, the rest is text."""
    small = f" <small>{text(note)}</small>" if str(note) else ""
    return (
        f"<details{' open' if unfolded else ''}><summary>{text(title)}{small}"
        f"</summary>{body}</details>"
    )


def guarded(make: Callable[[], str]) -> str:
    """Return what `make` returns, or why it cannot be had."""
    try:
        return make()
    except DCReadError as error:
        return alarm(error)


def alarm(what: object) -> str:
    """Return a paragraph that catches the eye."""
    return f"<p class='dcread-alarm'>{text(what)}</p>"


def remark(what: object) -> str:
    """Return a paragraph that does not."""
    return f"<p>{text(what)}</p>"


def table(
    rows: Sequence[Sequence[object]],
    head: Sequence[str] = (),
    depths: Iterable[int] = (),
) -> str:
    """Return a table of texts, the first of each row being its name.

    Parameters
    ----------
    rows : sequence of sequence
        Texts; not more than `MOST_ROWS` of them are shown.
    head : sequence of str
        Titles of the columns.
    depths : iterable of int
        How far the name of each row is indented.
    """
    shown = rows[:MOST_ROWS]
    indents = [*depths][: len(shown)] or [0] * len(shown)
    titles = "".join(f"<th>{text(title)}</th>" for title in head)
    lines = [f"<thead><tr>{titles}</tr></thead>"] if head else []
    lines.append("<tbody>")
    for depth, (name, *cells) in zip(indents, shown, strict=True):
        lines.append(
            f"<tr><th>{'&nbsp;' * 4 * depth}{text(name)}</th>"
            + "".join(f"<td>{text(cell)}</td>" for cell in cells)
            + "</tr>"
        )
    lines.append("</tbody>")
    more = len(rows) - len(shown)
    wide = " class='dcread-wide'" if head else ""
    made = f"<div class='dcread-scroll'><table{wide}>{''.join(lines)}</table></div>"
    return made + (remark(f"and {more:,} more") if more else "")
