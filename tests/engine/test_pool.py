"""How many threads decode: what is asked for, and what the machine allows."""

from __future__ import annotations

import os

import pytest

from dcread import engine
from dcread.engine import thread_pool as pool


@pytest.fixture
def environment(monkeypatch):
    for name in ("DCREAD_NUM_THREADS", *pool._SINGLE):
        monkeypatch.delenv(name, raising=False)

    def default(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        engine.set_num_threads(None)
        return engine.get_num_threads()

    yield default
    monkeypatch.undo()
    engine.set_num_threads(None)


def test_number_of_threads(environment):
    cores = len(os.sched_getaffinity(0))
    assert 1 <= environment() <= cores
    assert environment(DCREAD_NUM_THREADS="7") == 7
    assert environment(OMP_NUM_THREADS="1") == 7
    engine.set_num_threads(3)
    assert engine.get_num_threads() == 3
    with pytest.raises(ValueError, match="at least 1"):
        engine.set_num_threads(0)
    assert engine.get_num_threads() == 3


@pytest.mark.parametrize("name", pool._SINGLE)
def test_single_threaded_pipelines(environment, name):
    assert environment(**{name: "1"}) == 1


def test_affinity(environment):
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        assert environment() == 1
    finally:
        os.sched_setaffinity(0, cores)


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu.max": "nonsense"}, None),
        ({}, None),
    ],
)
def test_cgroup(tmp_path, files, quota):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    own = tmp_path / "own"
    assert pool.cgroup_quota(tmp_path, own) == quota
    own.write_text("7:cpuset:/x\n5:cpu,cpuacct:/job/step\n0::/job/step\nodd\n")
    assert pool.cgroup_quota(tmp_path, own) == quota
    (tmp_path / "job/step").mkdir(parents=True)
    (tmp_path / "job/step/cpu.max").write_text("max 100000\n")
    (tmp_path / "job/cpu.max").write_text("50000 100000\n")
    assert pool.cgroup_quota(tmp_path, own) == 0.5
