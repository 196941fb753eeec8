"""Small files with basins, and a stand-in for the file that refers to them."""

from __future__ import annotations

import json
import pathlib
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import pytest

import dcread
from dcread.basins import (
    Basin,
    BasinDefinition,
    BasinManager,
    BasinSet,
    Policy,
    get_manager,
    hookimpl,
    load_definitions,
)
from dcread.basins import plugins as manager_module
from dcread.basins.reports import data_of, features_of, reasons_of, status_of
from dcread.engine import FileHandle, open_file, reader_for
from dcread.engine.metadata_blocks import store
from dcread.engine.name_resolver import Place
from dcread.file.identifier import get_measurement_identifier
from dcread.file.links import has_member, subgroup
from dcread.problems import Problem

from .dcor_server import Server

RAMP = np.arange(5) * 1.5
IMAGES = np.arange(60, dtype=np.uint8).reshape(5, 3, 4)
PHASES = np.random.default_rng(1).random((5, 200, 400))


class PlainReferrer:
    """The least that basins need to know of a file."""

    is_far = False

    def __init__(self, path: pathlib.Path, length: int, index_mapping: Any) -> None:
        self.handle: FileHandle = open_file(path)
        self.raw_length = length
        self.index_mapping = index_mapping

    @property
    def group(self) -> Place | None:
        if not has_member(self.handle.h5.id, "events"):
            return None
        return subgroup(self.handle, "events")

    def mapping_indices(self) -> Any:
        if self.index_mapping is None:
            return None
        return np.arange(self.raw_length)[self.index_mapping]

    def own_feature(self, name: str) -> Any:
        raise AssertionError("basins read the maps of an open file themselves")

    def definitions(self, most: int) -> list[Any]:
        return []

    def identifier(self) -> str | None:
        return get_measurement_identifier(self.handle.h5)


@dataclass
class Opened:
    """A file's basins, and what came to light about them."""

    basins: BasinSet
    referrer: PlainReferrer
    problems: list[Problem] = field(default_factory=list)

    def values(self, feature: str) -> Any:
        """Return a feature as NumPy would give it; None if there is none."""
        found = self.basins.find(feature)
        if found is None:
            return None
        obj, mapping = found
        reader = reader_for(obj)
        values = reader.read(slice(0, reader.shape[0], 1))
        return values if mapping is None else values[mapping]

    def features(self) -> set[str]:
        return features_of(self.basins)

    def reasons(self, feature: str) -> list[str]:
        return reasons_of(self.basins, feature)

    def all_status(self) -> Any:
        return status_of(self.basins)

    def status(self, name: str) -> Any:
        (record,) = (item for item in self.all_status() if item.name == name)
        return record

    def get_data(self, index: int) -> Any:
        return data_of(self.basins, index)


def store_definition(h5: h5py.File, key: str, raw: object) -> None:
    lines = json.dumps(raw, indent=2).split("\n")
    size = max(map(len, lines))
    h5.require_group("basins").create_dataset(key, data=np.array(lines, f"S{size}"))


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing contacted, whatever a test names."""
    monkeypatch.setenv("DCREAD_OFFLINE", "1")


@pytest.fixture
def write_file(tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    """Write a measurement: features, basins and identifier as wanted."""

    def write(
        name: str,
        events: Mapping[str, Any] | None = None,
        basins: Sequence[Mapping[str, Any]] = (),
        *,
        internal: Mapping[str, Any] | None = None,
        identifier: str | None = None,
        count: int = 5,
    ) -> pathlib.Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as h5:
            h5.attrs["experiment:event count"] = count
            if identifier is not None:
                h5.attrs["experiment:run identifier"] = identifier
            group = h5.require_group("events")
            for feature, data in (events or {}).items():
                group[feature] = data
            for feature, data in (internal or {}).items():
                h5.require_group("basin_events")[feature] = data
            for number, raw in enumerate(basins):
                store_definition(h5, f"key{number}", raw)
        return path

    return write


@pytest.fixture
def open_basins() -> Iterator[Callable[..., Opened]]:
    """Open the basins of a file; closed at the end of the test."""
    opened: list[Opened] = []

    def open_(
        path: pathlib.Path,
        policy: Policy | None = None,
        *,
        length: int = 5,
        index_mapping: Any = None,
        definitions: Sequence[Mapping[str, Any]] | None = None,
    ) -> Opened:
        referrer = PlainReferrer(path, length, index_mapping)
        problems: list[Problem] = []
        stored = load_definitions(referrer.handle, problems, policy)
        given = definitions is not None
        basins = BasinSet(
            referrer,
            definitions if definitions is not None else stored.usable,
            policy,
            problems,
            dropped=() if given else stored.dropped,
        )
        opened.append(Opened(basins, referrer, problems))
        return opened[-1]

    yield open_
    for item in opened:
        item.basins.close()
        item.referrer.handle.close()


@pytest.fixture
def file_basin() -> Callable[..., dict[str, Any]]:
    """Make the definition of a file basin."""

    def make(*paths: object, name: str = "raw data", **more: Any) -> dict[str, Any]:
        basic = {"name": name, "type": "file", "format": "hdf5"}
        return {**basic, "paths": [str(path) for path in paths], **more}

    return make


@pytest.fixture
def internal_basin() -> Callable[..., dict[str, Any]]:
    """Make the definition of an internal basin."""

    def make(*features: str, name: str = "inside", **more: Any) -> dict[str, Any]:
        basic = {"name": name, "type": "internal", "format": "h5dataset"}
        return {
            **basic,
            "paths": ["basin_events"],
            "features": list(features),
            **more,
        }

    return make


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> BasinManager:
    """A manager of its own for one test, in the place of the process's."""
    monkeypatch.setattr(manager_module, "_manager", None)
    return get_manager()


class MemoryBasin(Basin):
    """Features from a dictionary, of a type of its own."""

    format = "memory"
    type = "memory"
    reach = "inside"
    features: Any = types.MappingProxyType({"deform": np.arange(5) * 1.5})

    @classmethod
    def locations(cls, definition: BasinDefinition, context: Any) -> Iterator[str]:
        yield "memory"

    def open(self) -> Any:
        return self.features


@pytest.fixture
def memory_basin() -> Callable[..., type[Basin]]:
    """Make a basin class for ``{"type": "memory", "format": "memory"}``."""
    return lambda **attributes: type("Variant", (MemoryBasin,), attributes)


@pytest.fixture
def open_memory(
    manager: BasinManager,
    plugin: Callable[..., types.ModuleType],
    memory_basin: Callable[..., type[Basin]],
    write_file: Callable[..., pathlib.Path],
    open_basins: Callable[..., Opened],
) -> Callable[..., Opened]:
    """Open a file with a basin "m" of a class with the attributes given."""

    def open_(*more: Mapping[str, Any], **attributes: Any) -> Opened:
        manager.register(plugin(memory_basin(**attributes)))
        memory = {"name": "m", "type": "memory", "format": "memory"}
        return open_basins(write_file("ref.rtdc", basins=[memory, *more]))

    return open_


@pytest.fixture
def plugin() -> Callable[..., types.ModuleType]:
    """Make a plugin that registers classes (or whatever is given)."""

    def make(*answer: object) -> types.ModuleType:
        module = types.ModuleType("plugin")
        mark = hookimpl(specname="dcread_register_basins")
        registered = answer[0] if len(answer) == 1 else list(answer)
        module.dcread_register_basins = mark(  # type: ignore[attr-defined]
            lambda: registered
        )
        return module

    return make


@pytest.fixture
def server(
    write_file: Callable[..., pathlib.Path],
    offline: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Server]:
    """A server with a measurement at ``/data.rtdc`` and ``/signed.rtdc``."""
    monkeypatch.delenv("DCREAD_OFFLINE")  # (only this machine is named)
    store.clear()
    found = Server()
    data = {"deform": RAMP, "image": IMAGES, "trace/fl1_raw": IMAGES[:, 0]}
    content = write_file("data.rtdc", data).read_bytes()
    large = write_file("large.rtdc", {**data, "qpi_pha": PHASES}).read_bytes()
    found.files = {"/data.rtdc": content, "/signed.rtdc": large}
    yield found
    found.close()


@pytest.fixture
def measurement(
    write_file: Callable[..., pathlib.Path], server: Server
) -> Iterator[Callable[..., dcread.HDF5Data]]:
    """Open a measurement with one remote basin, on a server that is allowed."""
    opened: list[dcread.HDF5Data] = []

    def open_(url: str, format_: str = "http", **more: Any) -> dcread.HDF5Data:
        policy = more.pop("policy", None) or dcread.Policy(hosts=[server.url])
        credentials = more.pop("credentials", ())
        rows = {"basinmap0": more.pop("rows")} if "rows" in more else {}
        basin = {"type": "remote", "format": format_, "name": "web", "urls": [url]}
        path = write_file(
            f"ref{len(opened)}.rtdc",
            {"area_um": RAMP, **rows},
            [{"features": None, **basin, **more}],
        )
        opened.append(dcread.HDF5Data(path, policy=policy, credentials=credentials))
        return opened[-1]

    yield open_
    for hd in opened:
        hd.close()
