"""Did a dictionary change since it was read? A digest of its content tells."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np


def fingerprint(value: object) -> bytes:
    """Return a digest of dictionaries, sequences, arrays, text and numbers."""
    digest = hashlib.md5(usedforsecurity=False)
    _feed(digest, value)
    return digest.digest()


def _feed(digest: Any, value: object) -> None:
    if isinstance(value, Mapping):
        digest.update(b"{%d" % len(value))
        for key, item in value.items():
            _feed(digest, key)
            _feed(digest, item)
    elif isinstance(value, (list, tuple)):
        digest.update(b"[%d" % len(value))
        for item in value:
            _feed(digest, item)
    elif isinstance(value, np.ndarray):
        digest.update(f"a{value.dtype!r}{value.shape}".encode())
        if value.dtype.hasobject:
            _feed(digest, value.ravel().tolist())
        else:
            digest.update(value.tobytes())
    else:
        text = repr(value).encode("utf-8", "surrogatepass")
        digest.update(b"%s%d:" % (type(value).__name__.encode(), len(text)))
        digest.update(text)
