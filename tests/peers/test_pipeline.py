"""dcnum's own pipeline gives the same file with dcread in its reader's place."""

from __future__ import annotations

import json
import pathlib
import shutil
from typing import Any

import pytest

pytest.importorskip("dcnum", reason="the peers are not installed")

SOURCE = "cytoshot_full-features_2023.rtdc"
JOBS = {
    "drain": {"background_code": "sparsemed", "basin_strategy": "drain"},
    "tap, slice": {
        "background_code": "rollmed",
        "background_kwargs": {"kernel_size": 10, "batch_size": 20},
        "basin_strategy": "tap",
        "data_kwargs": {"index_mapping": {"slice": [2, 38]}},
    },
    "two chunks, background kept": {
        "background_code": "copy",
        "basin_strategy": "drain",
        "data_kwargs": {"image_chunk_size": 20},
    },
    "list": {
        "background_code": "sparsemed",
        "basin_strategy": "tap",
        "data_kwargs": {"index_mapping": [0, 3, 4, 7, 8, 20, 21, 22, 39]},
    },
}


def _copy(data_dir: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    path = folder / "measurement.rtdc"
    shutil.copyfile(data_dir / SOURCE, path)
    return path


def _run_both(
    run_dropin: Any, tmp_path: pathlib.Path, path_in: pathlib.Path, job: dict[str, Any]
) -> tuple[pathlib.Path, pathlib.Path, Any]:
    outputs = []
    for reader in ("dcnum.read", "dcread"):
        path_out = tmp_path / f"out-{reader}" / "processed.rtdc"
        path_out.parent.mkdir(exist_ok=True)
        kwargs = json.dumps({"num_procs": 3, **job})
        run = run_dropin(reader, "run_pipeline.py", path_in, path_out, kwargs)
        outputs.append(path_out)
    return outputs[0], outputs[1], run


@pytest.mark.slow
@pytest.mark.parametrize("name", JOBS)
def test_same_output(
    name: str,
    data_dir: pathlib.Path,
    tmp_path: pathlib.Path,
    run_dropin: Any,
    describe_file: Any,
) -> None:
    path_in = _copy(data_dir, tmp_path)
    before = path_in.read_bytes()
    genuine, ours, run = _run_both(run_dropin, tmp_path, path_in, JOBS[name])
    expected, found = describe_file(genuine), describe_file(ours)
    assert sorted(found) == sorted(expected)
    assert [key for key in expected if found[key] != expected[key]] == []
    # A file in which nothing was found would prove nothing.
    assert len(json.loads(json.dumps(expected["event names"]))) > 40
    assert expected["events/deform"][0][0] > 5
    assert path_in.read_bytes() == before

    workers = [seen for seen in run.witnesses if seen["worker"]]
    assert "get_chunk" in {seen["call"] for seen in workers}
    assert len(workers) < len(run.witnesses), "the parent process read nothing"
    for seen in run.witnesses:
        assert seen["by"].startswith("dcread.")
        assert seen["slots"] == "dcread.measurement.data"
        assert seen["genuine"] == []


@pytest.mark.slow
def test_output_is_processed_again(
    data_dir: pathlib.Path,
    tmp_path: pathlib.Path,
    run_dropin: Any,
    describe_file: Any,
) -> None:
    """A second run reads its images through a mapped basin."""
    path_in = _copy(data_dir, tmp_path)
    first = tmp_path / "first.rtdc"
    kwargs = json.dumps({"num_procs": 2, **JOBS["tap, slice"]})
    run_dropin("dcnum.read", "run_pipeline.py", path_in, first, kwargs)
    job = {"background_code": "copy", "basin_strategy": "tap"}
    genuine, ours, run = _run_both(run_dropin, tmp_path, first, job)
    expected, found = describe_file(genuine), describe_file(ours)
    assert found == expected
    assert any(seen["worker"] for seen in run.witnesses)
    assert all(seen["by"].startswith("dcread.") for seen in run.witnesses)


def test_writer_gives_the_same_files(
    data_dir: pathlib.Path,
    tmp_path: pathlib.Path,
    run_dropin: Any,
    describe_file: Any,
) -> None:
    path_in = _copy(data_dir, tmp_path)
    folder = tmp_path / "out"
    kept = tmp_path / "genuine"
    for reader in ("dcnum.read", "dcread"):
        folder.mkdir()
        run = run_dropin(reader, "run_writer.py", path_in, folder)
        if reader == "dcnum.read":
            assert {seen["by"] for seen in run.witnesses} == {
                "dcnum.read.cache",
                "dcnum.read.hdf5_data",
            }
            shutil.move(folder, kept)
    assert all(seen["genuine"] == [] for seen in run.witnesses)
    assert run.witnesses
    names = sorted(path.name for path in kept.iterdir())
    assert names == [
        "copied.rtdc",
        "drained.rtdc",
        "over-referrer.rtdc",
        "over.rtdc",
        "referrer.rtdc",
    ]
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        assert describe_file(folder / name) == describe_file(kept / name), name
    assert "image data" in {
        key.removeprefix("events/") for key in describe_file(folder / "drained.rtdc")
    }
