"""Random index expressions and index mappings, right and wrong ones."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

WRONG = (
    1.5,
    "a",
    b"x",
    [1.0],
    np.array([]),
    {1},
    2**70,
    object(),
    [[1, 2], [3]],
    slice(1.5, None),
    slice(None, None, 0),
    np.float64(1),
)
ODD = (
    None,
    True,
    False,
    np.True_,
    [[]],
    range(2),
    (0, 1),
    np.uint64(0),
    np.uint8(200),
    slice(None),
)
NARROW = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i2", ">u4")


def expression(rng: random.Random, shape: tuple[int, ...]) -> Any:
    """Return something to put between brackets, mostly a valid index."""
    if rng.random() < 0.5:
        return _item(rng, shape[0])
    if len(shape) > 1 and rng.random() < 0.05:
        axes = rng.randint(2, len(shape))
        return np.random.default_rng(rng.getrandbits(32)).random(shape[:axes]) < 0.5
    items = [_item(rng, size) for size in shape[: rng.randint(1, len(shape))]]
    if rng.random() < 0.2:
        items[rng.randrange(len(items))] = Ellipsis
    if rng.random() < 0.03:
        items.insert(rng.randint(0, len(items)), None)
    return tuple(items)


def _item(rng: random.Random, size: int) -> Any:  # noqa: PLR0911
    kind = rng.random()
    if kind < 0.3:
        return _slice(rng, size)
    if kind < 0.6 and size:
        number = rng.randint(-size, size - 1)
        return number if rng.random() < 0.8 else _narrow(rng, number)[()]
    if kind < 0.65:
        return rng.randint(-size - 2, size + 1)
    if kind < 0.8 and size:
        items = [rng.randint(-size, size - 1) for _ in range(rng.randint(0, 6))]
        return items if rng.random() < 0.5 else _narrow(rng, items)
    if kind < 0.83 and size:
        items = [rng.randint(-size, size - 1) for _ in range(rng.randint(1, 4))]
        return _narrow(rng, items)[:, np.newaxis]
    if kind < 0.86:
        return [rng.randint(-size - 1, size) for _ in range(rng.randint(0, 3))]
    if kind < 0.93:
        mask = [rng.random() < 0.4 for _ in range(size)]
        if rng.random() < 0.05:
            mask.append(True)
        return mask if rng.random() < 0.3 else np.array(mask, bool)
    return rng.choice(ODD if kind < 0.98 else WRONG)


def _slice(rng: random.Random, size: int) -> slice:
    def bound() -> int | None:
        return None if rng.random() < 0.3 else rng.randint(-size - 2, size + 2)

    return slice(bound(), bound(), rng.choice((None, None, 1, 2, 3, 7, -1, -2, -5)))


def _narrow(rng: random.Random, numbers: int | list[int]) -> np.ndarray:
    """Return numbers in a type that is just wide enough, or a wider one."""
    wide = np.array(numbers, "i8")
    fitting = [
        kind
        for kind in NARROW
        if wide.size == 0
        or (np.iinfo(kind).min <= wide.min() and wide.max() <= np.iinfo(kind).max)
    ]
    return wide.astype(rng.choice(fitting))


def mapping(rng: random.Random, size: int) -> Any:
    """Return a valid index mapping for `size` events; None for all of them."""
    kind = rng.randrange(8)
    if kind == 0:
        return None
    if kind == 1:
        return rng.randint(0, size)
    if kind == 2:
        return _slice(rng, size)
    if kind == 3:
        start, stop = sorted(rng.randint(0, size) for _ in range(2))
        return range(start, stop, rng.randint(1, 4))
    if kind == 4:
        return np.random.default_rng(rng.getrandbits(32)).random(size) < 0.5
    return rows(rng, size) if kind < 7 else rows(rng, size).tolist()


def rows(rng: random.Random, size: int) -> np.ndarray:
    """Return row numbers of any integer type: sorted, permuted or with repeats."""
    if not size:
        return np.zeros(0, rng.choice(NARROW))
    chosen = [rng.randrange(size) for _ in range(rng.randint(0, 2 * size))]
    if rng.random() < 0.4:
        chosen = sorted(set(chosen))
    return _narrow(rng, chosen)
