"""What a notebook shows of a measurement: thumbnails, features, basins, problems."""

from __future__ import annotations

import base64
import html.parser
import io
import pathlib
import re
import time
import warnings
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

import dcread
from dcread import notebook
from dcread.images.base_cache import BaseImageChunkCache

VOID = {"img", "meta", "br"}


class Page(html.parser.HTMLParser):
    """Every tag is closed in order; what is said, and which images there are."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.said: list[str] = []
        self.images: list[np.ndarray[Any, Any]] = []
        self.feed(text)
        self.close()
        assert not self.open
        self.text = " ".join(" ".join(self.said).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            source = dict(attrs)["src"] or ""
            head, _, data = source.partition(",")
            assert head == "data:image/png;base64"
            with Image.open(io.BytesIO(base64.b64decode(data))) as image:
                self.images.append(np.asarray(image))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.said.append(data)


def write(path: pathlib.Path, images: Any, **others: Any) -> pathlib.Path:
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.linspace(0, 1, len(images))
        options = {"chunks": (10, *images.shape[1:]), "compression": "gzip"}
        h5.create_dataset(
            "events/image", data=images, **(options if len(images) > 9 else {})
        )
        for name, data in others.items():
            h5[f"events/{name}"] = data
        h5.attrs["experiment:sample"] = "blood"
    return path


@pytest.fixture
def images() -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).integers(0, 255, (40, 30, 50), np.uint8)


def test_every_real_file_has_a_page(data_dir: pathlib.Path) -> None:
    seen = 0
    for path in sorted(data_dir.glob("*.rtdc")):
        with dcread.HDF5Data(path) as hd:
            shown = hd._repr_html_()
            page = Page(shown)
            assert len(shown) < 200_000
            for name in hd:
                assert name in page.text
            expected = min(4, len(hd)) if {"image", "mask"} & set(hd) else 0
            assert len(page.images) == expected, path
            seen += expected
    assert seen > 20


def test_thumbnails_are_the_images(tmp_path: pathlib.Path, images) -> None:
    images[:, :, :25] = 20
    images[:, :, 25:] = 200
    images[13] = 255 - images[13]
    with dcread.HDF5Data(write(tmp_path / "m.rtdc", images)) as hd:
        page = Page(hd._repr_html_())
        assert [one.shape for one in page.images] == [(30, 50)] * 4
        assert [one[0, 0] < one[0, -1] for one in page.images] == [1, 0, 1, 1]
        assert {"event 0", "event 13", "event 26", "event 39"} <= set(page.said)
        assert "Deformation: 1 minus the circularity" in page.text
        assert "Basins" not in page.text
        assert "Problems" not in page.text
        assert list(hd.image.cache) == []  # nothing is kept for it


def test_large_images_become_small(tmp_path: pathlib.Path) -> None:
    large = np.zeros((3, 1000, 3000), np.uint16)
    large[:, :, 1500:] = 60000
    with dcread.HDF5Data(write(tmp_path / "m.rtdc", large)) as hd:
        shown = hd._repr_html_()
        for one in Page(shown).images:
            assert one.shape[0] <= 120
            assert one.shape[1] <= 240
            assert one[5, 5] == 0
            assert one[5, -5] == 255
    assert len(shown) < 30_000


def test_a_damaged_image_is_told_and_the_rest_shown(tmp_path, images) -> None:
    path = write(tmp_path / "m.rtdc", images)
    with h5py.File(path) as h5:
        info = h5["events/image"].id.get_chunk_info(1)
    with path.open("r+b") as file:
        file.seek(info.byte_offset + 20)
        file.write(b"\xff" * 50)
    with dcread.HDF5Data(path) as hd:
        for shown in (hd._repr_html_(), hd.image._repr_html_()):
            page = Page(shown)
            assert len(page.images) == 3
            assert page.text.count("cannot be read") == 1
            assert "deform" in page.text or "HDF5ImageCache" in page.text


def test_no_images_no_events_no_features(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "none.rtdc", np.zeros((0, 8, 9), np.uint8))
    with dcread.HDF5Data(path) as hd:
        assert "no images" in Page(hd._repr_html_()).text
    with h5py.File(tmp_path / "empty.rtdc", "w") as h5:
        h5.create_group("events")
    with dcread.HDF5Data(tmp_path / "empty.rtdc") as hd:
        assert "Features 0" in Page(hd._repr_html_()).text


def test_masks_where_there_are_no_images(tmp_path: pathlib.Path) -> None:
    mask = np.zeros((5, 8, 9), np.uint8)
    mask[:, 2:4, 3:6] = 255
    with h5py.File(tmp_path / "m.rtdc", "w") as h5:
        h5["events/mask"] = mask
    with dcread.HDF5Data(tmp_path / "m.rtdc") as hd:
        page = Page(hd._repr_html_())
    assert "Masks" in page.text
    assert np.array_equal(page.images[0], mask[0])


def test_many_features_and_long_texts_are_bounded(tmp_path: pathlib.Path) -> None:
    with h5py.File(tmp_path / "m.rtdc", "w") as h5:
        for number in range(700):
            h5[f"events/{'x' * 200}{number:04}"] = np.arange(3)
        h5.attrs["experiment:sample"] = "<" * 60_000
    with dcread.HDF5Data(tmp_path / "m.rtdc") as hd:
        shown = hd._repr_html_()
        start = time.perf_counter()
        hd._repr_html_()
        assert time.perf_counter() - start < 2
    page = Page(shown)
    assert "Features 700" in page.text
    assert "and 500 more" in page.text
    assert len(shown) < 150_000


def test_remote_images_are_not_fetched(tmp_path: pathlib.Path, images) -> None:
    path = tmp_path / "m.rtdc"
    definition = (
        '{"name": "<far>", "type": "remote", "format": "http", "features": ["image"],'
        ' "urls": ["http://127.0.0.1:9/x.rtdc?sig=hidden"]}'
    )
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.arange(9.0)
        h5["basins/a"] = np.array([definition.encode()])
    with dcread.HDF5Data(path, policy=dcread.Policy(remote=True)) as hd:
        start = time.perf_counter()
        page = Page(hd._repr_html_())
        assert time.perf_counter() - start < 1
    assert page.images == []
    assert "<far>" in page.text
    assert "hidden" not in page.text
    assert "not asked yet" in page.text


def test_images_of_a_basin_nearby(tmp_path: pathlib.Path, images) -> None:
    write(tmp_path / "raw.rtdc", images)
    path = tmp_path / "m.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.arange(40.0)
        raw = '{"name": "raw", "type": "file", "format": "hdf5", "paths": ["raw.rtdc"]}'
        h5["basins/a"] = np.array([raw.encode()])
    with dcread.HDF5Data(path, index_mapping=[9, 2, 30]) as hd:
        page = Page(hd._repr_html_())
        assert len(page.images) == 3
        assert len(Page(hd.image._repr_html_()).images) == 3
        assert "available" in Page(hd.basin_status()._repr_html_()).text


class Slow(BaseImageChunkCache):
    """Computes images; must not be asked to for a display."""

    made = 0

    def _get_chunk_data(self, chunk_slice: slice) -> np.ndarray[Any, Any]:
        self.made += 1
        return np.ones((chunk_slice.stop - chunk_slice.start, 8, 9), np.uint8)


def test_image_caches(tmp_path: pathlib.Path, images) -> None:
    path = write(tmp_path / "m.rtdc", images, image_bg=images // 2)
    with dcread.HDF5Data(path) as hd:
        page = Page(hd.image._repr_html_())
        assert "(40, 30, 50)" in page.text
        assert "(10, 30, 50)" in page.text
        assert len(page.images) == 4
        assert "int16" in Page(hd.image_corr._repr_html_()).text
        assert len(Page(hd.image_corr._repr_html_()).images) == 4
        kept = hd.image
    assert "closed" in Page(kept._repr_html_()).text
    slow = Slow((40, 8, 9), chunk_size=10)
    assert "none are shown" in Page(slow._repr_html_()).text
    assert slow.made == 0
    slow.get_chunk(0)
    slow._repr_html_()
    assert slow.made == 1


@given(
    hnp.arrays(
        st.sampled_from(["?", "u1", "<i4", ">u2", "<f4", "<f8", "<f2"]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=300),
    )
)
@example(np.full((300, 300), -np.finfo(float).max))
def test_any_image_has_a_picture(image: np.ndarray[Any, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = notebook.thumbnails(1, lambda _: image)
    (picture,) = Page(shown).images
    assert picture.dtype == np.uint8
    assert picture.shape[0] <= 120
    assert picture.shape[1] <= 240


@given(st.text(), st.text())
def test_any_text_is_escaped(name: str, value: str) -> None:
    shown = notebook.page(name, notebook.table([(name, value)], [value]))
    tags = Page(shown).tags
    assert set(tags) <= {"style", "div", "header", "table", "thead", "tbody"} | {
        "tr",
        "th",
        "td",
        "p",
    }
    assert tags.count("td") == 1


def test_reading_that_takes_long_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcread.notebook.images.SECONDS", 0.01)

    def read(number: int) -> np.ndarray[Any, Any]:
        time.sleep(0.02)
        return np.zeros((4, 5), np.uint8)

    page = Page(notebook.thumbnails(100, read))
    assert len(page.images) == 1
    assert "reading takes long" in page.text


def test_dark_and_light_have_the_same_names() -> None:
    page = notebook.page("")
    names = re.findall(r"--dcr-(\w+)0:", page)
    assert {names.count(name) for name in names} == {4}
    used = set(re.findall(r"var\(--dcr-(\w+)0\)", page))
    assert used == set(names)
