"""A made-up measurement: recordings of the camera and the events found in them.

The layout is that of a measurement that went through a processing pipeline:

``demo.rtdc``
    One entry an event (a cell): mask, traces, scalar features. Its images come
    from the recording through a mapped file basin, its background images from
    an internal basin.
``demo_raw.rtdc``
    The recording: one entry a frame, some of them without or with two cells.
``demo_raw_2.rtdc``
    The recording that follows, a third as long, to be joined with the first.
"""

from __future__ import annotations

import json
import pathlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..engine.home import absolute
from ..errors import DCReadError
from ..measurement.data import HDF5Data
from . import instrument, rtdc, scene
from .features import trace_features
from .recording import BATCH, Recording, Setup, record, windows_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import h5py
    from numpy.typing import NDArray

RUN = "dcread-demo-{seed:04d}-{index}"
RECIPE = "dcread-demo-recipe"
"""The log that tells how the files were made; the last one that is written has it."""


@dataclass(frozen=True)
class DemoFiles:
    """Where a made-up measurement lies, and what is in it.

    Attributes
    ----------
    events, recording, continuation : pathlib.Path
        The three files (see the module).
    flickering : ndarray of int64
        Frames of `recording` whose flash was off by 3 % or more.
    """

    events: pathlib.Path
    recording: pathlib.Path
    continuation: pathlib.Path
    flickering: NDArray[np.int64]


def make_measurement(
    folder: str | pathlib.Path,
    *,
    frames: int = 3000,
    seed: int = 1,
    flicker: bool = True,
    progress: Callable[[int], None] | None = None,
    reuse: bool = False,
) -> DemoFiles:
    """Write a made-up but realistic measurement.

    Parameters
    ----------
    folder : str or pathlib.Path
        Where to write ``demo.rtdc``, ``demo_raw.rtdc`` and ``demo_raw_2.rtdc``;
        made if it is not there. Files of these names are replaced.
    frames : int
        Number of frames of the recording, at least 40; there are slightly more
        events than frames. The images of 3000 frames are 77 MB.
    seed : int
        Equal seeds (and versions of NumPy) give equal data.
    flicker : bool
        Whether three of a hundred flashes are brighter or darker.
    progress : callable, optional
        Called with the number of frames done since the last call.
    reuse : bool
        Whether files that an earlier call with the same arguments has left in
        `folder` are taken as they are.

    Returns
    -------
    files : DemoFiles
        The paths and the frames that flicker.

    Raises
    ------
    ValueError
        If there are fewer than 40 frames.
    """
    if frames < 40:
        raise ValueError(f"a measurement has at least 40 frames, got {frames}")
    folder = absolute(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"demo{end}.rtdc" for end in ("", "_raw", "_raw_2")]
    recipe = _recipe(frames, seed, flicker=flicker)
    if reuse and (found := _made_before(files, recipe)) is not None:
        return found
    rng = np.random.default_rng(seed)
    setup = Setup(
        rng=rng,
        background=scene.make_background(rng),
        paint=scene.make_painter(rng),
        progress=progress or (lambda number: None),
    )
    runs = [RUN.format(seed=seed, index=index) for index in (1, 2)]
    light = scene.make_light(rng, frames, flicker=flicker)
    first = record(setup, files[1], light, runs[0])
    after = scene.make_light(rng, frames // 3, flicker=flicker, start=frames)
    record(setup, files[2], after, runs[1])
    flickering = np.flatnonzero(light.flash != 1.0)
    recipe["flickering"] = flickering.tolist()
    _write_events(setup, files[0], first, runs[0], recording=files[1], recipe=recipe)
    return DemoFiles(files[0], files[1], files[2], flickering)


def _recipe(frames: int, seed: int, *, flicker: bool) -> dict[str, Any]:
    """Return what the files depend on."""
    versions = {"dcread": __version__, "numpy": np.__version__}
    return {"frames": frames, "seed": seed, "flicker": flicker, **versions}


def _made_before(files: list[pathlib.Path], recipe: dict[str, Any]) -> DemoFiles | None:
    """Return the files of an earlier call if all are there and made in this way."""
    try:
        with HDF5Data(files[0]) as hd:
            stored = json.loads("\n".join(hd.logs[RECIPE]))
            flickering = stored.pop("flickering")
            if stored != recipe or not all(map(pathlib.Path.is_file, files)):
                return None
            basins = [basin.available for basin in hd.basin_status()]
    except (DCReadError, LookupError, ValueError):
        return None
    if basins != [True, True]:
        return None
    frames = np.array(flickering, dtype=np.int64)
    return DemoFiles(files[0], files[1], files[2], frames)


def _write_events(
    setup: Setup,
    path: pathlib.Path,
    source: Recording,
    run: str,
    *,
    recording: pathlib.Path,
    recipe: dict[str, Any],
) -> None:
    """Write the events file, which takes its images from basins."""
    cells = source.cells
    number = len(cells)
    scalars: dict[str, NDArray[Any]] = {
        **source.scalars,
        "nevents": np.bincount(cells.frame)[cells.frame],
        "basinmap0": cells.frame // scene.FRAMES_PER_BACKGROUND,
        "basinmap1": cells.frame,
    }
    with instrument.new_measurement(path, f"{run}_events") as h5:
        events = h5.create_group("events")
        shape = (number, scene.HEIGHT, scene.WIDTH)
        masks = rtdc.create(events, "mask", shape, np.uint8)
        for start in range(0, number, BATCH):
            part = slice(start, min(start + BATCH, number))
            full = np.zeros((part.stop - start, *shape[1:]), np.uint8)
            for i, (_, window) in enumerate(windows_of(cells, part)):
                full[i][window] = source.masks[start + i]
            masks[part] = full * 255
        traces = h5.create_group("events/trace")
        for channel in (1, 2):
            raw, median = instrument.make_traces(setup.rng, cells, channel)
            rtdc.store(traces, f"fl{channel}_raw", raw)
            rtdc.store(traces, f"fl{channel}_median", median)
            scalars |= trace_features(median, instrument.SAMPLE_RATE, channel)
        for name, values in scalars.items():
            rtdc.store(events, name, values)
        rtdc.store(h5.create_group("basin_events"), "image_bg", source.backgrounds)
        _write_basins(h5, run, recording)
        h5.attrs["experiment:event count"] = number
        instrument.write_fluorescence_metadata(h5)
        kinds = [
            f"{kind[0]}: {np.count_nonzero(cells.kind == i)}"
            for i, kind in enumerate(scene.KINDS)
        ]
        made_up = "This measurement was made up by 'dcread demo'; no cell is real."
        logs = h5.require_group("logs")
        rtdc.store_text(logs, "dcread-demo", [made_up, *kinds])
        rtdc.store_text(logs, RECIPE, json.dumps(recipe, indent=1).split("\n"))


def _write_basins(h5: h5py.File, run: str, recording: pathlib.Path) -> None:
    rtdc.store_basin(
        h5,
        {
            "name": "background images",
            "description": "one image for every hundred frames",
            "type": "internal",
            "format": "h5dataset",
            "paths": ["basin_events"],
            "features": ["image_bg"],
            "mapping": "basinmap0",
        },
    )
    rtdc.store_basin(
        h5,
        {
            "name": "recording",
            "description": "the frames as they came from the camera",
            "type": "file",
            "format": "hdf5",
            "paths": [str(recording), recording.name],
            "features": ["image"],
            "mapping": "basinmap1",
            "identifier": run,
        },
    )
