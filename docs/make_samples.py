"""Make the measurements that the gallery and the pages of the commands read."""

from __future__ import annotations

import pathlib

import h5py

from dcread.cli import main as cli
from dcread.demo.generate import make_measurement


def make_samples(folder: pathlib.Path) -> None:
    """Make what is not there yet.

    ``demo-output/``
        What `dcread demo` makes.
    ``moved/demo.rtdc``
        A measurement whose recording is missing.
    ``damaged.rtdc``
        A recording with a damaged chunk of images.
    ``out/``
        Where the commands write.
    """
    make_measurement(folder / "demo-output", reuse=True)
    (folder / "out").mkdir(exist_ok=True)
    damaged = folder / "damaged.rtdc"
    if not damaged.exists():
        files = make_measurement(folder / "moved", frames=200)
        files.continuation.unlink()
        recording = files.recording.rename(damaged)
        with h5py.File(recording) as h5:
            chunk = h5["events/image"].id.get_chunk_info(1)
        with recording.open("r+b") as stream:
            stream.seek(chunk.byte_offset + 100)
            stream.write(b"damage")
    picture = folder / "out" / "preview.png"
    if not picture.exists():
        measurement = str(folder / "demo-output" / "demo.rtdc")
        cli.main(["preview", measurement, "--output", str(picture), "--quiet"])
