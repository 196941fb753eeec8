"""The tutorial on remote measurements works as it is written."""

from __future__ import annotations

import pathlib
import re
import sys
from typing import Any

import pytest

from dcread.demo.generate import make_measurement

from .test_real_servers import free_port, need, running

PAGE = pathlib.Path(__file__).parents[2] / "docs/tutorials/remote-measurement.md"


def test_the_tutorial(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need("twisted")
    make_measurement(tmp_path / "served", frames=500)
    text = PAGE.read_text().replace(":8000", f":{(port := free_port())}")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    listen = f"tcp:{port}:interface=127.0.0.1"
    command = [sys.executable, "-m", "twisted", "web", "--listen", listen]
    names: dict[str, Any] = {}
    with running(*command, "--path", str(tmp_path / "served"), port=port):
        for block in blocks[:2]:
            exec(block, names)
    exec(blocks[2], names)
    told = capsys.readouterr().out
    assert f"http://127.0.0.1:{port}/demo_raw_2.rtdc, the first bytes" in told
    assert "try again" in told
    with running(*command, "--path", str(tmp_path / "served"), port=port):
        exec(blocks[3], names)
    assert len(blocks) == 4
    assert re.search(r"^\(100, \d+, \d+\)$", capsys.readouterr().out, re.MULTILINE)
