"""Headers of objects that may be those of virtual datasets, by their first bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcread.engine.object_headers import HEADER, messages_at
from dcread_ext.object_header import may_be_virtual

SPACE, LAYOUT, MORE = 1, 8, 16
VIRTUAL, CHUNKED, OLDER = b"\4\3" + bytes(22), b"\4\2" + bytes(22), b"\3\3" + bytes(22)


def older(messages: list[tuple[int, bytes]]) -> bytes:
    """Return a header of the first version."""
    body = b"".join(
        struct.pack("<HH4x", kind, len(data)) + data for kind, data in messages
    )
    return struct.pack("<BxHII4x", 1, len(messages), 1, len(body)) + body


def newer(messages: list[tuple[int, bytes]], flags: int = 0x23) -> bytes:
    """Return a header of the second version."""
    order = bytes(2) if flags & 4 else b""
    body = b"".join(
        struct.pack("<BHB", kind, len(data), 0) + order + data
        for kind, data in messages
    )
    more = bytes(16 * bool(flags & 32) + 4 * bool(flags & 16))
    return (
        b"OHDR\2"
        + bytes([flags])
        + more
        + len(body).to_bytes(1 << (flags & 3), "little")
        + body
    )


MESSAGES = {
    "virtual": ([(SPACE, bytes(16)), (LAYOUT, VIRTUAL)], True),
    "chunked": ([(SPACE, bytes(16)), (LAYOUT, CHUNKED), (MORE, bytes(16))], False),
    "of an older version": ([(LAYOUT, OLDER)], False),
    "no dataset": ([(SPACE, bytes(48))], False),
    "the first layout counts": ([(LAYOUT, CHUNKED), (LAYOUT, VIRTUAL)], False),
    "more elsewhere": ([(SPACE, bytes(16)), (MORE, bytes(16))], True),
    "longer than what is known": ([(SPACE, bytes(600)), (LAYOUT, VIRTUAL)], True),
}


@pytest.mark.parametrize("what", MESSAGES)
@pytest.mark.parametrize("flags", [None, 0, 1, 2, 3, 0x10, 0x23, 0x27, 0x37])
def test_what_a_header_may_be(what: str, flags: int | None) -> None:
    messages, expected = MESSAGES[what]
    if flags is not None and not flags & 3 and what.startswith("longer"):
        pytest.skip("its length has one byte")
    head = older(messages) if flags is None else newer(messages, flags)
    head = (head + bytes(HEADER))[:HEADER]
    assert may_be_virtual(head) == may_be_virtual(bytearray(head)) == expected


@pytest.mark.parametrize("size", [0, 1, 16, 39])
def test_too_few_bytes_tell_nothing(size: int) -> None:
    assert may_be_virtual(older([(SPACE, bytes(48))])[:size])


@given(
    data=st.one_of(
        st.binary(min_size=40, max_size=HEADER),
        st.binary(min_size=40, max_size=HEADER).map(lambda raw: b"OHDR\2" + raw),
        st.lists(st.tuples(st.sampled_from((0, 1, 8, 16)), st.binary(max_size=99)))
        .map(older)
        .map(lambda raw: (raw + bytes(40))[:HEADER]),
    )
)
def test_no_virtual_dataset_is_missed(data: bytes) -> None:
    """What is found by all messages may be virtual by the first bytes, too."""
    layouts, _ = messages_at(0, data, lambda at, n: data[at : at + n], (LAYOUT,))
    first = layouts[0][1] if layouts else b""
    if first[:1] >= b"\4" and first[1:2] == b"\3":
        assert may_be_virtual(data)
