"""Jobs on whole measurements that write or compare: diff, export, salvage."""

from __future__ import annotations
