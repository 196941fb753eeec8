"""Memory of a scan, and of 800 events in random order."""

from __future__ import annotations

import pathlib

import pytest

from .data import HEIGHT, WIDTH
from .memory import measure

pytestmark = pytest.mark.skipif(
    not pathlib.Path("/proc/self/clear_refs").exists(),
    reason="the peak of resident memory can only be reset on Linux",
)
MIB = 1 << 20


def test_a_scan_takes_no_more_than_the_peer(data):
    ours = measure("dcread", "scan", data.zstd, data.parts[0])
    peer = measure("dcnum.read", "scan", data.zstd, data.parts[0])
    assert ours.more <= peer.more * 1.1 + 8 * MIB


def test_random_order_takes_the_output_and_64_mib(data):
    ours = measure("dcread", "shuffled", data.long, data.parts[0])
    output = min(800, data.long_frames) * HEIGHT * WIDTH
    assert ours.more <= output + 64 * MIB
