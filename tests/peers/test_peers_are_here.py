"""Where everything is checked, no test against a peer may be left out."""

from __future__ import annotations

import importlib.util
import os

import pytest


@pytest.mark.parametrize("peer", ["dcnum", "dclab"])
def test_peer_is_installed(peer: str) -> None:
    if os.environ.get("CI") != "true":
        pytest.skip("only where CI=true")
    assert importlib.util.find_spec(peer) is not None
