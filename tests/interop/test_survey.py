"""Surveys from Python: the data frame, other processes, and a cluster of dask."""

from __future__ import annotations

import os
import pathlib
import pickle
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dcread
from dcread.demo import generate
from dcread.interop import survey
from dcread.survey import Input
from dcread.survey.run import on_worker

pd = pytest.importorskip("pandas")
NUMBER = 12


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder of measurements, one of which is called bad.rtdc."""
    place = tmp_path_factory.mktemp("archive")
    made = generate.make_measurement(place / "made", frames=60)
    for number in range(NUMBER):
        shutil.copy(made.recording, place / f"{number:02d}.rtdc")
    shutil.copy(made.continuation, place / "bad.rtdc")
    shutil.rmtree(place / "made")
    return place


@pytest.fixture(scope="module", autouse=True)
def _questions() -> None:
    """Let this process and its children import the questions beside this file."""
    folder = str(pathlib.Path(__file__).parent)
    sys.path.insert(0, folder)
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([folder, before])
    yield
    sys.path.remove(folder)
    os.environ["PYTHONPATH"] = before


def test_the_frame_has_a_row_for_each_measurement(archive: pathlib.Path) -> None:
    seen: list[tuple[int, int]] = []
    paths = [archive / "missing.rtdc", archive]
    frame = survey(paths, progress=lambda done, all_: seen.append((done, all_)))
    assert seen == [(i + 1, NUMBER + 2) for i in range(NUMBER + 2)]
    assert list(frame.columns[:5]) == ["path", "state", "error", "size", "modified"]
    assert frame.path.tolist()[:2] == [str(paths[0]), str(archive / "00.rtdc")]
    assert frame.state.tolist() == ["missing"] + ["ok"] * (NUMBER + 1)
    assert frame.events.tolist()[1:] == [60] * NUMBER + [20]
    assert set(frame["experiment:sample"][1:]) == {"made-up blood"}
    assert "no file at" in frame.error[0]


@pytest.mark.parametrize("what", ["info", "basins", "flicker", "verify"])
def test_each_question(what: str, archive: pathlib.Path) -> None:
    frame = survey([archive / "00.rtdc", archive / "bad.rtdc"], what)
    assert frame.error.isna().all()
    if what == "flicker":
        with dcread.HDF5Data(archive / "00.rtdc") as hd:
            report = dcread.flicker_report(hd)
        assert frame.frames[0] == 60
        assert frame.flickering_frames[0] == report.count
        few = survey(archive / "00.rtdc", what, max_frames=10, threshold=1.0)
        assert few.frames[0] == 10
        assert few.brightness_threshold[0] == 1.0


def test_a_function_gives_the_columns(archive: pathlib.Path) -> None:
    frame = survey(
        archive / "0*.rtdc",
        lambda hd, key: {"x": hd.meta[key]},
        key="imaging:pixel size",
    )
    assert frame.x.tolist() == [0.34] * 10
    frame = survey(archive / "00.rtdc", lambda hd: {"x": hd["nonsense"]})
    assert "nonsense" in frame.error[0]
    frame = survey(archive / "00.rtdc", lambda hd: 1 / 0)
    assert "ZeroDivisionError" in frame.error[0]
    assert len(survey([])) == 0


def test_wrong_arguments(archive: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="one of info, basins, flicker, verify"):
        survey(archive, "colour")
    with pytest.raises(TypeError, match="'info' has no option 'max_frames'"):
        survey(archive, "info", max_frames=3)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 2e6])
def test_times_that_nobody_can_wait(archive: pathlib.Path, seconds: float) -> None:
    with pytest.raises(ValueError, match="timeout must be a number of seconds"):
        survey(archive, "info", timeout=seconds)


def test_importing_the_door_is_cheap(run_python: Callable[..., Any]) -> None:
    code = (
        "import sys, dcread.interop; "
        "print(sorted({'pandas', 'distributed', 'numpy', 'h5py'} & set(sys.modules)))"
    )
    done = run_python(code)
    assert done.stdout == "[]\n"


def test_a_task_is_small(archive: pathlib.Path) -> None:
    long = Input(str(archive / ("x" * 200 + ".rtdc")))
    task = (on_worker, long, "flicker", {"max_frames": 0, "threshold": 2.5}, 300.0)
    assert len(pickle.dumps(task)) < 4096


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.filterwarnings("ignore")
class TestOnDask:
    """A cluster of processes on this machine."""

    @pytest.fixture(scope="class")
    def client(self, _questions: None) -> object:
        distributed = pytest.importorskip("distributed")
        with (
            distributed.LocalCluster(
                n_workers=2,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client

    def test_it_answers_as_one_process_does(
        self, client: object, archive: pathlib.Path
    ) -> None:
        for what in ("info", "verify"):
            ours = survey(archive, what)
            theirs = survey(archive, what, client)
            pd.testing.assert_frame_equal(ours, theirs)

    def test_the_command_takes_the_address_of_a_scheduler(
        self,
        client: object,
        archive: pathlib.Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        from dcread.cli.main import main

        address = client.scheduler.address
        assert main(["verify", str(archive), "--dask", address]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == f"{NUMBER + 1} files: 13 ok"

    def test_a_killed_worker_is_survived(
        self, client: object, archive: pathlib.Path
    ) -> None:
        import odd_answers

        def kill() -> None:
            time.sleep(1.0)
            os.kill(next(iter(pids.values())), signal.SIGKILL)

        pids = client.run(os.getpid)
        killer = threading.Thread(target=kill)
        killer.start()
        frame = survey(archive, odd_answers.slow, client)
        killer.join()
        assert frame.error.isna().all()
        assert frame.length.tolist() == [60] * NUMBER + [20]
        assert set(client.run(os.getpid).values()) != set(pids.values())

    def test_what_hangs_or_kills_is_named_and_given_up(
        self, client: object, archive: pathlib.Path
    ) -> None:
        import odd_answers

        for question, says in (
            (odd_answers.hang, "nothing could be read for 4 s"),
            (odd_answers.die, r"ended the process 2 times \(signal 9\)"),
        ):
            frame = survey(archive, question, client, timeout=4)
            bad = frame.path.str.endswith("bad.rtdc")
            assert frame.error[bad].str.contains(says).all()
            assert (frame.state == "given up").tolist() == bad.tolist()
            assert frame.error[~bad].isna().all()
            assert np.all(frame.length[~bad] == 60)


def test_no_scheduler_is_told(
    archive: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("distributed")
    from dcread.cli import many
    from dcread.cli.main import main

    before, many.CONNECT_SECONDS = many.CONNECT_SECONDS, 0.5
    try:
        assert main(["info", str(archive), "--dask", "tcp://127.0.0.1:9"]) == 1
    finally:
        many.CONNECT_SECONDS = before
    said = capsys.readouterr()
    assert "dcread: no dask scheduler at tcp://127.0.0.1:9: " in said.err
