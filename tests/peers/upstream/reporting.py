"""A plugin of pytest that tells the runner which test is at work, and how it ended.

Decided exceptions have to fail: one that passes is no exception any more.
"""

from __future__ import annotations

import json
import os
import pathlib
from importlib.util import find_spec
from typing import Any

import pytest
from exceptions import EXCEPTIONS, NEED_TORCH

_events = pathlib.Path(os.environ["PEER_TESTS_EVENTS"])


def _tell(**event: object) -> None:
    with _events.open("a") as file:
        file.write(json.dumps(event) + "\n")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    genuine = os.environ["DROPIN_READER"] == "dcnum.read"
    for item in items:
        reason = EXCEPTIONS.get(item.nodeid)
        if reason is not None and not genuine:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
        if item.nodeid in NEED_TORCH and find_spec("torch") is None:
            item.add_marker(pytest.mark.skip(reason="torch is not installed"))


def pytest_collection_finish(session: pytest.Session) -> None:
    _tell(collected=[item.nodeid for item in session.items])


def pytest_runtest_logstart(nodeid: str) -> None:
    _tell(start=nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Any:
    report = yield
    if report.when == "call" or report.outcome != "passed":
        if hasattr(report, "wasxfail"):
            outcome, text = "excepted", str(report.wasxfail)
        else:
            outcome, text = report.outcome, report.longreprtext
        _tell(end=item.nodeid, outcome=outcome, text=text)
    return report
