# cython: language_level=3, boundscheck=False, wraparound=False
"""Image minus background, widened while it is subtracted."""

from libc.stdint cimport int16_t, int32_t, uint8_t, uint16_t

ctypedef fused pixel:
    uint8_t
    uint16_t

ctypedef fused pixel_back:
    uint8_t
    uint16_t

ctypedef fused difference:
    int16_t
    int32_t


cdef void _subtract_row(
    const pixel *image, const pixel_back *background, difference *out, Py_ssize_t size
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(size):
        out[i] = <difference>(<int>image[i] - <int>background[i])


cdef void _subtract(
    const pixel[:, :, :] image, const pixel_back[:, :, :] background,
    difference[:, :, :] out, bint side_by_side
) noexcept nogil:
    cdef Py_ssize_t i, j, k
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            if side_by_side:
                _subtract_row(
                    &image[i, j, 0], &background[i, j, 0], &out[i, j, 0], out.shape[2]
                )
            else:
                for k in range(out.shape[2]):
                    out[i, j, k] = <difference>(
                        <int>image[i, j, k] - <int>background[i, j, k]
                    )


def subtract(
    const pixel[:, :, :] image, const pixel_back[:, :, :] background,
    difference[:, :, :] out
):
    """Set ``out = image - background``; pixels of 16 bits need 32 in `out`."""
    cdef int axis
    cdef bint side_by_side
    for axis in range(3):
        if (
            image.shape[axis] != out.shape[axis]
            or background.shape[axis] != out.shape[axis]
        ):
            raise ValueError("image, background and output differ in shape")
    if sizeof(pixel) + sizeof(pixel_back) > sizeof(difference):
        raise ValueError("the difference needs a wider output")
    if out.shape[2] == 0:
        return
    side_by_side = (
        image.strides[2] == sizeof(pixel)
        and background.strides[2] == sizeof(pixel_back)
        and out.strides[2] == sizeof(difference)
    )
    with nogil:
        _subtract(image, background, out, side_by_side)
