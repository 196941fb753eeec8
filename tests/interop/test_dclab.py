"""dclab datasets that read by dcread equal those that dclab opens itself."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

dclab = pytest.importorskip("dclab")

from dclab.rtdc_dataset import feat_basin, load  # noqa: E402

from dcread.demo.generate import make_measurement  # noqa: E402
from dcread.interop.dclab import RTDC_DCREAD, dclab_reads_by_dcread  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::dcread.EmptyDatasetWarning"),
    pytest.mark.filterwarnings(
        "ignore::dclab.rtdc_dataset.config.WrongConfigurationTypeWarning"
    ),
    pytest.mark.filterwarnings(
        "ignore::dclab.rtdc_dataset.config.UnknownConfigurationKeyWarning"
    ),
    pytest.mark.filterwarnings("ignore:Please avoid calling"),
    pytest.mark.filterwarnings("ignore:Feature .* not cached"),
]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return make_measurement(tmp_path_factory.mktemp("dclab"), frames=60).events


def same(name: str, ours: object, theirs: object) -> None:
    if name == "trace":
        assert sorted(ours) == sorted(theirs)
        for member in ours:
            np.testing.assert_array_equal(ours[member][:], theirs[member][:])
    elif name == "contour":
        for row in range(min(len(ours), 5)):
            np.testing.assert_array_equal(ours[row], theirs[row])
    else:
        np.testing.assert_array_equal(ours[:], theirs[:], err_msg=name)


def test_real_files_are_equal(real_file: pathlib.Path) -> None:
    with RTDC_DCREAD(real_file) as ours, dclab.new_dataset(real_file) as theirs:
        assert len(ours) == len(theirs)
        assert ours.features_innate == theirs.features_innate
        assert ours.features_basin == theirs.features_basin
        assert ours.features == theirs.features
        assert ours.features_scalar == theirs.features_scalar
        assert ours.hash == theirs.hash
        assert ours.title == theirs.title
        assert dict(ours.config) == dict(theirs.config)
        assert sorted(ours.logs) == sorted(theirs.logs)
        assert sorted(ours.tables) == sorted(theirs.tables)
        for name in theirs.features_innate:
            same(name, ours[name], theirs[name])


def test_filters_and_ancillary_features_are_equal(data_dir: pathlib.Path) -> None:
    path = data_dir / "cytoshot_full-features_2023.rtdc"
    with RTDC_DCREAD(path) as ours, dclab.new_dataset(path) as theirs:
        for ds in (ours, theirs):
            ds.config["filtering"]["deform min"] = 0.01
            ds.config["filtering"]["deform max"] = 0.1
            ds.apply_filter()
        np.testing.assert_array_equal(ours.filter.all, theirs.filter.all)
        np.testing.assert_allclose(ours["volume"][:], theirs["volume"][:])


def test_features_of_basins_are_served(demo: pathlib.Path) -> None:
    with RTDC_DCREAD(demo) as ours, dclab.new_dataset(demo) as theirs:
        assert "image" in ours.features_basin
        for row in range(5):
            np.testing.assert_array_equal(ours["image"][row], theirs["image"][row])
    with RTDC_DCREAD(demo, enable_basins=False) as ours:
        assert "image" not in ours


def test_export_gives_the_same_file(demo: pathlib.Path, tmp_path: pathlib.Path) -> None:
    made = {}
    for name, opener in (("ours", RTDC_DCREAD), ("theirs", dclab.new_dataset)):
        with opener(demo) as ds:
            ds.filter.manual[::2] = False
            ds.apply_filter()
            made[name] = tmp_path / f"{name}.rtdc"
            ds.export.hdf5(made[name], features=["deform", "image", "mask"])
    with h5py.File(made["ours"]) as ours, h5py.File(made["theirs"]) as theirs:
        for feature in ("deform", "image", "mask"):
            np.testing.assert_array_equal(
                ours["events"][feature], theirs["events"][feature]
            )


def test_new_dataset_gives_ours_within_the_block_only(demo: pathlib.Path) -> None:
    with dclab_reads_by_dcread():
        with dclab.new_dataset(demo) as ds:
            assert type(ds) is RTDC_DCREAD
            child = dclab.new_dataset(ds)
            assert len(child) == len(ds)
        with dclab.new_dataset({"deform": np.arange(3.0)}) as ds:
            assert type(ds) is not RTDC_DCREAD
    with dclab.new_dataset(demo) as ds:
        assert type(ds).__name__ == "RTDC_HDF5"
    with pytest.raises(ZeroDivisionError), dclab_reads_by_dcread():
        raise ZeroDivisionError
    assert load.load_file.__module__ == "dclab.rtdc_dataset.load"


def test_importing_it_changes_nothing_in_dclab(run_python: Callable[..., Any]) -> None:
    code = (
        "import dclab\n"
        "from dclab.rtdc_dataset import feat_basin, load\n"
        "before = feat_basin.get_basin_classes(), load.load_file, load.fmt_http\n"
        "import dcread.interop.dclab\n"
        "after = feat_basin.get_basin_classes(), load.load_file, load.fmt_http\n"
        "assert before == after\n"
    )
    run_python(code)
    assert feat_basin.get_basin_classes()


def test_closing_closes_the_file(demo: pathlib.Path, open_files) -> None:
    before = open_files()
    ds = RTDC_DCREAD(demo)
    ds["image"][0]
    assert open_files() > before
    ds.close()
    assert open_files() == before
