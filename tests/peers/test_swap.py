"""dcread stands in for dcnum.read: here, in loaded modules, in child processes."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("dcnum")

WORKER = """
def home(_=None):
    import dcnum.logic.slot_register as slots
    from dcnum.read import HDF5Data
    from dcnum.read.cache import HDF5ImageCache
    homes = HDF5Data.__module__, HDF5ImageCache.__module__, slots.HDF5Data.__module__
    return [name.split(".")[0] for name in homes]
"""


def run(tmp_path: pathlib.Path, code: str, **environment: str) -> list[str]:
    (tmp_path / "worker.py").write_text(WORKER)
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(code))
    done = subprocess.run(
        [sys.executable, str(script)],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


def test_names_that_loaded_modules_hold_are_rebound_and_given_back(
    tmp_path: pathlib.Path,
) -> None:
    assert run(
        tmp_path,
        """
        import dcnum.read, dcnum.logic.ctrl, dcnum.write.writer, dcnum.feat
        from dcnum.read import HDF5Data as held, md5sum
        import dcread, sys
        genuine = held
        print(dcread.is_installed_as_dcnum_read())
        with dcread.install_as_dcnum_read() as swap:
            print(swap.active, dcread.is_installed_as_dcnum_read())
            print(held is dcread.HDF5Data, md5sum is dcread.md5sum)
            print(dcnum.logic.ctrl.HDF5Data is dcread.HDF5Data)
            print(dcnum.write.writer.HDF5Data is dcread.HDF5Data)
            print(dcnum.read.hdf5_data.HDF5Data is dcread.HDF5Data)
        print(swap.active, dcread.is_installed_as_dcnum_read())
        print(held is genuine, dcnum.logic.ctrl.HDF5Data is held)
        print(sys.modules["dcnum.read"].__name__, dcnum.read.HDF5Data is held)
        """,
    ) == [
        "False",
        "True True",
        "True True",
        "True",
        "True",
        "True",
        "False False",
        "True True",
        "dcnum.read True",
    ]


def test_what_is_imported_later_is_served_and_then_genuine_again(
    tmp_path: pathlib.Path,
) -> None:
    assert run(
        tmp_path,
        """
        import dcread
        swap = dcread.install_as_dcnum_read()
        inner = dcread.install_as_dcnum_read()
        from dcnum.read import HDF5Data
        import dcnum.read.cache
        print(HDF5Data is dcread.HDF5Data, dcnum.read.cache is dcread.cache)
        inner.undo()
        print(dcread.is_installed_as_dcnum_read())
        swap.undo()
        swap.undo()
        import importlib
        print(importlib.import_module("dcnum.read").HDF5Data.__module__)
        print(dcread.HDF5Data.__module__)
        """,
    ) == [
        "True True",
        "True",
        "dcnum.read.hdf5_data",
        "dcread.measurement.data",
    ]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_child_processes_are_served_while_it_is_active(
    tmp_path: pathlib.Path, method: str
) -> None:
    if sys.platform == "win32" and method != "spawn":
        pytest.skip("there is no forkserver")
    assert run(
        tmp_path,
        f"""
        import multiprocessing, subprocess, sys
        import dcread, worker
        if __name__ == "__main__":
            context = multiprocessing.get_context({method!r})
            with dcread.install_as_dcnum_read():
                with context.Pool(1) as pool:
                    print(pool.map(worker.home, [0])[0])
                code = "import worker; print(worker.home())"
                print(subprocess.check_output([sys.executable, "-c", code], text=True),
                      end="")
            print(subprocess.check_output([sys.executable, "-c", code], text=True),
                  end="")
        """,
    ) == [
        "['dcread', 'dcread', 'dcread']",
        "['dcread', 'dcread', 'dcread']",
        "['dcnum', 'dcnum', 'dcnum']",
    ]


def test_another_sitecustomize_still_runs(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.own_start = 'ran'\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert run(
        tmp_path,
        """
        import os, subprocess, sys
        import dcread
        code = ("import sys, dcnum.read; "
                "print(getattr(sys, 'own_start', 'no'), dcnum.read.__name__)")
        before = os.environ["PYTHONPATH"]
        with dcread.install_as_dcnum_read():
            print(subprocess.check_output([sys.executable, "-c", code], text=True),
                  end="")
        print(os.environ["PYTHONPATH"] == before)
        """,
    ) == ["ran dcread", "True"]


def test_without_dcnum_there_is_a_clear_error(
    tmp_path: pathlib.Path,
) -> None:
    assert run(
        tmp_path,
        """
        import sys
        sys.modules["dcnum"] = None
        import dcread
        try:
            dcread.install_as_dcnum_read()
        except (ModuleNotFoundError, ValueError) as exc:
            print(type(exc).__name__, "pip install dcnum" in str(exc))
        """,
    ) == ["ModuleNotFoundError True"]
