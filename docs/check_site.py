"""Check the pages that were built: links lead somewhere, no page is heavy.

usage: python docs/check_site.py docs/_build/html
"""

from __future__ import annotations

import html.parser
import pathlib
import sys
import urllib.parse

HEAVIEST = 1_000_000
"""Bytes that a page may have, with all that it loads."""


class Page(html.parser.HTMLParser):
    """What a page has: anchors, links, and what it loads."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found.get("id", ""), found.get("name", "")}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif "src" in found:
            self.loaded.add(found["src"])
        elif tag == "link" and found.get("rel") in {"stylesheet", "icon"}:
            self.loaded.add(found["href"])


def main() -> int:
    """Print what is wrong; return how many things that are."""
    root = pathlib.Path(sys.argv[1]).resolve()
    pages = {path: Page(path) for path in root.rglob("*.html")}
    wrong, weights = [], {}
    for path, page in pages.items():
        weights[path] = path.stat().st_size
        for link in sorted({*page.links, *page.loaded}):
            url = urllib.parse.urlsplit(link)
            if url.scheme or url.netloc:
                if link in page.loaded and url.scheme != "data":
                    wrong.append(f"{path}: loads {link} from another server")
                continue
            place = urllib.parse.unquote(url.path)
            target = (path.parent / place).resolve() if place else path
            if not target.is_file():
                wrong.append(f"{path}: no {link}")
                continue
            if link in page.loaded:
                weights[path] += target.stat().st_size
            anchor = urllib.parse.unquote(url.fragment)
            # (sources link back to names that a page describes without an entry)
            is_source = "_modules" in path.parts
            known = pages[target].anchors if target in pages else {anchor}
            if anchor and anchor not in known and not is_source:
                wrong.append(f"{path}: {link}: no such place")
        if weights[path] > HEAVIEST:
            wrong.append(f"{path}: {weights[path]:,} bytes, more than {HEAVIEST:,}")
    heaviest = max(weights, key=weights.__getitem__)
    print(
        *wrong,
        f"{len(pages)} pages, the heaviest: {heaviest.relative_to(root)} with "
        f"{weights[heaviest]:,} bytes; {len(wrong)} problems",
        sep="\n",
    )
    return min(len(wrong), 1)


if __name__ == "__main__":
    sys.exit(main())
