#!/bin/sh
# Build the kernels with gcc's address and undefined-behaviour sanitizers, with vector
# types and without, and run tests on them (default: those of the kernels and those
# that give the decoder damaged chunks and all layouts).
#
#     [PYTHON=python3] tests/kernels/sanitize.sh [pytest arguments]
#
# PYTHON needs dcread's dependencies and the test group. What it has installed of
# dcread is not touched: the builds go to build/sanitize-* and are used from there.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
# In two of them libhdf5 itself reads beyond the end of a chunk that is not filtered.
[ $# -gt 0 ] || set -- tests/kernels \
    tests/engine/test_checksums.py tests/engine/test_damage.py \
    tests/engine/test_early_end.py \
    tests/engine/test_generated.py tests/engine/test_layouts.py --deselect \
    tests/engine/test_layouts.py::test_missing_and_unfiltered_chunks_among_many \
    --deselect tests/engine/test_layouts.py::test_unfiltered_edge_chunks
isolation=--no-build-isolation
"$python" -c "import cython_cmake, Cython, scikit_build_core" 2>/dev/null || isolation=

check() {
    plain=$1
    shift
    target=$PWD/build/sanitize-plain-$plain
    rm -rf "$target"
    # shellcheck disable=SC2086
    "$python" -m pip install --quiet --no-deps $isolation --target "$target" \
        -C build-dir="$target-build" \
        -C cmake.build-type=Debug -C cmake.define.CMAKE_C_FLAGS=-O1 \
        -C cmake.define.DCREAD_SANITIZE=ON -C cmake.define.DCREAD_PLAIN=$plain .
    # Python itself is not instrumented: the runtime comes first, and what the
    # interpreter leaves behind at exit is not ours to report.
    LD_PRELOAD=$(gcc -print-file-name=libasan.so) \
    ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 \
    SANITIZED=$target "$python" - -q -p no:cacheprovider "$@" <<'RUN'
import os, sys

target = os.environ["SANITIZED"]
# An editable install would come first otherwise.
sys.meta_path = [f for f in sys.meta_path if "Redirecting" not in type(f).__name__]
sys.path.insert(0, target)
import pytest

import dcread_ext.gather

assert dcread_ext.gather.__file__.startswith(target), dcread_ext.gather.__file__


class NoDeadline:
    @staticmethod
    def pytest_configure():
        from hypothesis import settings

        settings.register_profile("sanitize", deadline=None)
        settings.load_profile("sanitize")


sys.exit(pytest.main(sys.argv[1:], plugins=[NoDeadline]))
RUN
    echo "sanitizers found nothing (portable loops: $plain)"
}

# Side by side: most of it uses one core.
mkdir -p build
check ON "$@" >build/sanitize-plain.log 2>&1 &
portable=$!
check OFF "$@" &
vectors=$!
failed=0
wait $vectors || failed=1
wait $portable || failed=1
cat build/sanitize-plain.log
exit $failed
