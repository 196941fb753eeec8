# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Stored chunks become rows of an array, many at a time, without the GIL."""

from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.buffer cimport PyBUF_READ
from libc.stdint cimport int64_t, uint32_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy


cdef extern from "fletcher32.h" nogil:
    uint32_t dcread_fletcher32(const unsigned char *data, size_t size)

cdef extern from "unshuffle.h" nogil:
    void dcread_unshuffle(
        const unsigned char *planes, unsigned char *out, size_t size, size_t width
    )

cdef extern from "lzf.h" nogil:
    size_t dcread_lzf(
        const unsigned char *data, size_t size, unsigned char *out, size_t capacity
    )

cdef extern from "zstd_prefix.h" nogil:
    ctypedef struct dcread_zstd_steps:
        unsigned long long (*content_size)(const void *, size_t) noexcept nogil
        size_t (*begin)(void *) noexcept nogil
        size_t (*next_size)(void *) noexcept nogil
        size_t (*go_on)(
            void *, void *, size_t, const void *, size_t
        ) noexcept nogil
    size_t dcread_zstd_prefix(
        const dcread_zstd_steps *zstd, void *context, const unsigned char *data,
        size_t size, unsigned char *out, size_t capacity, size_t wanted
    )

cdef extern from "scatter.h" nogil:
    enum:  # the columns of a task
        ADDRESS, STORED, MASK, RAW, LINE_FIRST, LINE_LAST
    ctypedef struct dcread_target:
        const int64_t *lines
        const int64_t *table
        int64_t entries, row_bytes, out_row_bytes, out_size
        unsigned char *out
    unsigned char *dcread_direct(const dcread_target *to, const int64_t *task)
    size_t dcread_needs(const dcread_target *to, const int64_t *task)
    int dcread_scatter(
        const dcread_target *to, const int64_t *task, const unsigned char *data
    )

cdef extern from "pread.h" nogil:
    enum: DCREAD_HAS_PREAD
    long long dcread_pread(int fd, void *out, size_t size, long long at)

cdef extern from "turns.h" nogil:
    int64_t dcread_next_turn(int64_t *turn)
    void dcread_end_turns(int64_t *turn, int64_t end)

HAS_PREAD = bool(DCREAD_HAS_PREAD)

# What went wrong with a chunk; named for Python at the end of this file.
cdef enum:
    OK, SHORT, IO, CHECKSUM, CODEC, SIZE, MEMORY, PLAN

ctypedef void *(*create_t)() noexcept nogil
ctypedef void (*release_t)(void *) noexcept nogil
ctypedef size_t (*zstd_t)(
    void *, void *, size_t, const void *, size_t
) noexcept nogil
ctypedef unsigned long long (*content_size_t)(const void *, size_t) noexcept nogil
ctypedef size_t (*begin_t)(void *) noexcept nogil
ctypedef int (*deflate_t)(
    void *, const void *, size_t, void *, size_t, size_t *
) noexcept nogil

cdef create_t zstd_create = NULL
cdef release_t zstd_release = NULL
cdef zstd_t zstd_decompress = NULL
cdef dcread_zstd_steps zstd_steps
cdef create_t deflate_create = NULL
cdef release_t deflate_release = NULL
cdef deflate_t deflate_decompress = NULL
cdef size_t deflate_behind = 0
cdef object python_codecs = {}


def set_native(int filter_id, uintptr_t create, uintptr_t release, uintptr_t run):
    """Decompress `filter_id` (1 or 32015) by functions at these addresses."""
    global zstd_create, zstd_release, zstd_decompress
    global deflate_create, deflate_release, deflate_decompress
    if filter_id == 1:
        deflate_create, deflate_release = <create_t>create, <release_t>release
        deflate_decompress = <deflate_t>run
    elif filter_id == 32015:
        zstd_create, zstd_release = <create_t>create, <release_t>release
        zstd_decompress = <zstd_t>run
    else:
        raise ValueError(f"no native decoder is known for filter {filter_id}")


def set_zstd_steps(
    uintptr_t content_size, uintptr_t begin, uintptr_t next_size, uintptr_t go_on
):
    """Decode no more of a zstd frame than is wanted, by functions at these addresses.

    They are ``ZSTD_getFrameContentSize``, ``ZSTD_decompressBegin``,
    ``ZSTD_nextSrcSizeToDecompress`` and ``ZSTD_decompressContinue``.
    """
    zstd_steps.content_size = <content_size_t>content_size
    zstd_steps.begin = <begin_t>begin
    zstd_steps.next_size = <begin_t>next_size
    zstd_steps.go_on = <zstd_t>go_on


def set_deflate_end(size_t behind):
    """Decode no more of a deflate stream than is wanted, and `behind` bytes.

    0: all of it. The function of `set_native` has to return 3 if there is more in the
    stream than the output has room for; so many bytes at the end of the output may not
    be written then.
    """
    global deflate_behind
    deflate_behind = behind


def set_python(int filter_id, function):
    """Decompress `filter_id` by ``function(data, size) -> bytes-like``.

    It returns None for what cannot be decompressed; what it raises is raised by `run`.
    """
    python_codecs[filter_id] = function


cdef class Decoder:
    """The contexts and buffers of one thread; never used by two at once."""

    cdef void *zstd
    cdef void *deflate
    # What frees them: where other functions are set later, these still fit.
    cdef release_t free_zstd
    cdef release_t free_deflate
    cdef unsigned char *buffers[3]
    cdef size_t capacity[3]
    cdef object interrupt  # what ended a codec in Python, if not the chunk

    def __dealloc__(self):
        self._trim(0)
        if self.zstd != NULL:
            self.free_zstd(self.zstd)
        if self.deflate != NULL:
            self.free_deflate(self.deflate)

    cdef void _trim(self, size_t limit) noexcept nogil:
        cdef int index
        for index in range(3):
            if self.capacity[index] > limit:
                free(self.buffers[index])
                self.buffers[index] = NULL
                self.capacity[index] = 0

    def trim(self, size_t limit):
        """Free each buffer larger than `limit` bytes; return the size of the rest."""
        self._trim(limit)
        return self.capacity[0] + self.capacity[1] + self.capacity[2]

    cdef unsigned char *_buffer(self, int index, size_t size) noexcept nogil:
        if self.capacity[index] < size or self.buffers[index] == NULL:
            free(self.buffers[index])
            self.capacity[index] = size + 64
            self.buffers[index] = <unsigned char *>malloc(size + 64)
            if self.buffers[index] == NULL:
                self.capacity[index] = 0
        return self.buffers[index]

    cdef size_t _decompress(
        self, int64_t codec, const unsigned char *data, size_t size,
        unsigned char *out, size_t expected, size_t wanted,
    ) noexcept nogil:
        """Return the decompressed length; anything but `expected` is an error.

        Where the codec can, it ends after the first `wanted` bytes.
        """
        if codec == 32000:
            return dcread_lzf(data, size, out, expected)
        if codec == 32015 and zstd_decompress != NULL:
            if self.zstd == NULL:
                self.zstd = zstd_create()
                self.free_zstd = zstd_release
            if self.zstd == NULL:
                return expected + 1
            if wanted < expected and zstd_steps.go_on != NULL and dcread_zstd_prefix(
                &zstd_steps, self.zstd, data, size, out, expected, wanted
            ):
                return expected
            return zstd_decompress(self.zstd, out, expected, data, size)
        if codec == 1 and deflate_decompress != NULL:
            if self.deflate == NULL:
                self.deflate = deflate_create()
                self.free_deflate = deflate_release
            if self.deflate == NULL:
                return expected + 1
            # (for whatever else comes out, the whole stream tells what it is)
            if deflate_behind and expected > deflate_behind and (
                wanted < expected - deflate_behind
            ) and deflate_decompress(
                self.deflate, data, size, out, wanted + deflate_behind, NULL
            ) == 3:
                return expected
            if deflate_decompress(self.deflate, data, size, out, expected, NULL):
                return expected + 1
            return expected
        return self._by_python(<int>codec, data, size, out, expected)

    cdef size_t _by_python(
        self, int codec, const unsigned char *data, size_t size, unsigned char *out,
        size_t expected,
    ) noexcept with gil:
        """Return the decompressed length, or one that is never expected."""
        cdef const unsigned char[::1] result
        try:
            view = PyMemoryView_FromMemory(<char *>data, <Py_ssize_t>size, PyBUF_READ)
            found = python_codecs[codec](view, expected)
            if found is None:
                return expected + 1
            result = found
            if <size_t>result.shape[0] == expected and expected:
                memcpy(out, &result[0], expected)
            return <size_t>result.shape[0]
        except BaseException as exc:  # an interrupt, no memory, ...
            self.interrupt = exc
            return expected + 1

    cdef int _chunk(
        self, int fd, const unsigned char *blob, const int64_t *task,
        const int64_t[:, ::1] steps, unsigned char *direct,
        size_t needed, const unsigned char **result, int64_t *detail,
    ) noexcept nogil:
        """Undo the filters of one chunk; into `direct` unless that is NULL.

        What lies behind the first `needed` bytes may be left undecoded, if a checksum
        has shown already that the chunk is as it was written, and unread, if there is
        nothing to decode.
        """
        cdef size_t raw = <size_t>task[RAW], size = <size_t>task[STORED], got
        cdef size_t wanted = size
        cdef bint vouched = False
        cdef size_t sums = 0, producers = 0, expected
        cdef bint last
        cdef int turn = 1
        cdef unsigned char *target = NULL
        cdef const unsigned char *data
        cdef uint32_t stored_sum, sum
        cdef Py_ssize_t i
        cdef long long status
        for i in range(steps.shape[0]):
            if not (task[MASK] >> steps[i, 1]) & 1:
                if steps[i, 0] == 3:
                    sums += 1
                else:
                    producers += 1
        if blob != NULL:
            data = blob + task[ADDRESS]
        else:
            if not sums and not producers and size == raw:  # nothing to decode
                target, wanted = direct, needed
            if target == NULL:
                target = self._buffer(0, size)
            if target == NULL:
                return MEMORY
            status = dcread_pread(fd, target, wanted, task[ADDRESS])
            if status != <long long>wanted:
                detail[0] = status
                return SHORT if status >= 0 else IO
            data = target
        for i in range(steps.shape[0]):
            if (task[MASK] >> steps[i, 1]) & 1:
                continue
            if steps[i, 0] == 3:
                detail[0] = <int64_t>size
                if size < 4:
                    return SIZE
                size -= 4
                sums -= 1
                sum = dcread_fletcher32(data, size)
                stored_sum = (
                    data[size] | (<uint32_t>data[size + 1] << 8)
                    | (<uint32_t>data[size + 2] << 16)
                    | (<uint32_t>data[size + 3] << 24)
                )
                # HDF5 before 1.6.3 stored the bytes of each half swapped.
                if sum != stored_sum and sum != (
                    ((stored_sum & 0x00ff00ff) << 8) | ((stored_sum >> 8) & 0x00ff00ff)
                ):
                    detail[0] = <int64_t>sum
                    return CHECKSUM
                vouched = True
                continue
            producers -= 1
            expected = size if steps[i, 0] == 2 else raw + 4 * sums
            if direct != NULL and not producers and not sums and expected == raw:
                target = direct
            else:
                target = self._buffer(turn, expected)
                turn = 3 - turn
            if target == NULL:
                return MEMORY
            if steps[i, 0] == 2:
                dcread_unshuffle(data, target, size, <size_t>steps[i, 2])
            else:
                last = vouched and not producers and not sums
                got = self._decompress(
                    steps[i, 0], data, size, target, expected,
                    needed if last else expected,
                )
                if got != expected:
                    detail[0] = <int64_t>steps[i, 0]
                    return CODEC
                size = expected
            data = target
        detail[0] = <int64_t>size
        if size != raw:
            return SIZE
        if direct != NULL and data != direct:
            memcpy(direct, data, raw)
        result[0] = data
        return OK

    def run(
        self, int fd, const unsigned char[::1] blob, const int64_t[:, ::1] tasks,
        const int64_t[:, ::1] runs, int64_t[::1] turn, int64_t most,
        const int64_t[:, ::1] steps, int64_t row_bytes, const int64_t[:, ::1] lines,
        const int64_t[:, ::1] table, unsigned char[::1] out, int64_t out_row_bytes,
    ):
        """Decode the chunks of runs into `out`, until all are taken or `most` are done.

        See ``decode.pyi`` for the tables. Returns ``None``, or for the first bad
        chunk ``(its task, what went wrong, a detail)``; nobody takes a run then.
        What a codec written in Python raises is raised.
        """
        cdef int64_t number
        cdef int64_t task = 0
        cdef const unsigned char *source = NULL
        cdef dcread_target to
        cdef int status = OK
        cdef int64_t detail = 0
        if tasks.shape[1] != 9 or steps.shape[1] != 3 or lines.shape[1] != 3:
            raise ValueError("a table of the plan has a wrong number of columns")
        if runs.shape[1] != 2 or turn.shape[0] != 1 or table.shape[1] != 2:
            raise ValueError("the plan does not hold these runs")
        if not out.shape[0]:
            raise ValueError("the output is empty")
        if fd < 0:
            if blob is None or blob.shape[0] == 0:
                raise ValueError("neither a descriptor nor bytes were given")
            source = &blob[0]
        to.lines = &lines[0, 0] if lines.shape[0] else NULL
        to.table = &table[0, 0] if table.shape[0] else NULL
        to.entries = table.shape[0]
        to.row_bytes, to.out_row_bytes = row_bytes, out_row_bytes
        to.out, to.out_size = &out[0], out.shape[0]
        with nogil:
            while status == OK and most > 0:
                number = dcread_next_turn(&turn[0])
                if number < 0 or number >= runs.shape[0]:
                    break
                most -= 1
                task = runs[number, 0]
                if task < 0 or runs[number, 1] > tasks.shape[0]:
                    status = PLAN
                while status == OK and task < runs[number, 1]:
                    status = self._task(
                        fd, source, blob.shape[0] if source != NULL else 0,
                        &tasks[task, 0], lines.shape[0], steps, &to, &detail
                    )
                    task += 1
            if status != OK:
                dcread_end_turns(&turn[0], runs.shape[0])
        if self.interrupt is not None:
            interrupt, self.interrupt = self.interrupt, None
            raise interrupt
        return None if status == OK else (task - 1, STATUS[status], detail)

    cdef int _task(
        self, int fd, const unsigned char *source, Py_ssize_t source_size,
        const int64_t *task, Py_ssize_t lines, const int64_t[:, ::1] steps,
        const dcread_target *to, int64_t *detail
    ) noexcept nogil:
        """Decode one chunk and put its rows where they belong."""
        cdef const unsigned char *data = NULL
        cdef unsigned char *direct
        cdef size_t needed
        cdef int status
        if task[LINE_FIRST] < 0 or task[LINE_LAST] > lines or (
            source != NULL and task[ADDRESS] + task[STORED] > source_size
        ) or task[ADDRESS] < 0 or task[STORED] < 0 or task[RAW] < 0:
            return PLAN
        direct = dcread_direct(to, task)
        needed = dcread_needs(to, task) if direct == NULL else task[RAW]
        status = self._chunk(fd, source, task, steps, direct, needed, &data, detail)
        if status == OK and direct == NULL and dcread_scatter(to, task, data):
            return PLAN
        return status


def take_turn(int64_t[::1] turn):
    """Return the next number of a turn, handed out once to all threads."""
    if turn.shape[0] != 1:
        raise ValueError("a turn is one number")
    return dcread_next_turn(&turn[0])


STATUS = ("ok", "short", "io", "checksum", "codec", "size", "memory", "plan")
