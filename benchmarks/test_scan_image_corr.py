"""Scan the background-corrected images."""

from __future__ import annotations

import numpy as np
import pytest

from .readers import ROWS, add_scanners, stack
from .task import Consume, Task

TASK = Task("scan `image_corr`", at_least=2.5, rounds=4)
add_scanners(TASK, lambda data: data.zstd, (), view="image_corr")


@TASK.competitor("h5py")
def plain(data):
    with stack("h5py", data.zstd) as images:
        backgrounds = images.parent["image_bg"]

        def scan(consume: Consume) -> None:
            for start in range(0, images.shape[0], ROWS):
                part = slice(start, start + ROWS)
                consume(np.subtract(images[part], backgrounds[part], dtype=np.int16))

        yield scan


@pytest.mark.parametrize("name", TASK.competitors)
def test_scan_image_corr(name, compete):
    compete(TASK, name)
