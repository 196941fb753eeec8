"""What notebooks show of an object: pages of HTML and small images."""

from .html import MOST_ROWS, alarm, guarded, page, remark, section, table, text
from .images import grey_png, thumbnails

__all__ = [
    "MOST_ROWS",
    "alarm",
    "grey_png",
    "guarded",
    "page",
    "remark",
    "section",
    "table",
    "text",
    "thumbnails",
]
