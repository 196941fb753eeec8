"""Compile the kernels for systems that are not at hand, with zig's C compiler.

usage: pip install ziglang cython && python .ci/cross_compile.py

Each kernel is compiled, not linked, for the stable ABI of Python 3.11, with the headers
of the Python that runs this. Their ``pyconfig.h`` is replaced, since it holds what is
true of this machine. Linking against Python, and running, is left to the workflows.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
import sysconfig
import tempfile

ROOT = pathlib.Path(__file__).parents[1]
TARGETS = (
    "x86_64-linux-gnu.2.17",
    "aarch64-linux-gnu.2.17",
    "x86_64-windows-gnu",
    "aarch64-windows-gnu",
    "x86_64-macos",
    "aarch64-macos",
)
COMMON = """
#define SIZEOF_DOUBLE 8
#define SIZEOF_FLOAT 4
#define SIZEOF_INT 4
#define SIZEOF_LONG_LONG 8
#define SIZEOF_SHORT 2
#define SIZEOF_SIZE_T 8
#define SIZEOF_VOID_P 8
#define SIZEOF_WCHAR_T {wchar}
#define SIZEOF_LONG {long}
#define ALIGNOF_MAX_ALIGN_T 16
#define HAVE_STDDEF_H 1
#define WITH_DOC_STRINGS 1
"""
WINDOWS = """
#define MS_WIN32
#define MS_WIN64
#define MS_WINDOWS
#define NT_THREADS
#define PY_SSIZE_T_CLEAN
#define HAVE_DECLSPEC_DLL
#define Py_ENABLE_SHARED 1
typedef long long Py_ssize_t;
#define HAVE_PY_SSIZE_T 1
#define PY_SSIZE_T_MAX 0x7fffffffffffffffLL
"""
POSIX = """
#define HAVE_SSIZE_T 1
#define HAVE_UNISTD_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_SYS_STAT_H 1
#define HAVE_SYS_TIME_H 1
#define HAVE_STDATOMIC_H 1
#define HAVE_BUILTIN_ATOMIC 1
#define HAVE_PTHREAD_H 1
#define PTHREAD_KEY_T_IS_COMPATIBLE_WITH_INT 1
"""


def pyconfig(target: str) -> str:
    """Return what ``pyconfig.h`` says of a target, as far as headers ask."""
    if "windows" in target:
        return COMMON.format(wchar=2, long=4) + WINDOWS
    return COMMON.format(wchar=4, long=8) + POSIX


def main() -> int:
    """Compile each kernel for each target; return 1 if one cannot be."""
    headers = pathlib.Path(sysconfig.get_paths()["include"])
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        sources = []
        for kernel in sorted((ROOT / "dcread_ext").glob("*.pyx")):
            sources.append(work / f"{kernel.stem}.c")
            cython = [sys.executable, "-m", "cython", "-3", str(kernel)]
            subprocess.run([*cython, "-o", str(sources[-1])], check=True)
        for target in TARGETS:
            include = work / target
            include.mkdir()
            for header in headers.iterdir():
                if header.name != "pyconfig.h":
                    (include / header.name).symlink_to(header)
            (include / "pyconfig.h").write_text(pyconfig(target), encoding="utf-8")
            command = [sys.executable, "-m", "ziglang", "cc", "-target", target]
            command += ["-c", "-O2", "-Wall", "-Werror=implicit-function-declaration"]
            command += ["-DPy_LIMITED_API=0x030b0000", "-DCYTHON_LIMITED_API=1"]
            command += ["-Wno-unused-function", "-Wno-unused-command-line-argument"]
            command += [f"-I{include}", f"-I{ROOT / 'dcread_ext'}"]
            for source in sources:
                one = [*command, str(source), "-o", str(work / "kernel.o")]
                done = subprocess.run(one, capture_output=True, text=True, check=False)
                if done.returncode or done.stderr:
                    print(target, source.stem, done.stderr[-2000:], sep="\n")  # noqa: T201
                if done.returncode:
                    failed.append(f"{source.stem} for {target}")
            count = sum(one.endswith(f" {target}") for one in failed)
            print(f"{target}: {len(sources) - count} of {len(sources)} kernels")  # noqa: T201
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
