"""How many images belong together: whole HDF5 chunks, so that none decodes twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..file.event_dataset import OwnFeature


def aligned_chunk_size(image: OwnFeature | None, wanted: int) -> int:
    """Return the number of images in a cache chunk.

    Parameters
    ----------
    image : OwnFeature or None
        The file's own images, mapped or not; images in a basin, and contiguous ones,
        have no say.
    wanted : int
        How many there should be at the most.

    Returns
    -------
    int
        A multiple of the images in an HDF5 chunk, not above `wanted`; one such
        chunk if that is larger.
    """
    if image is None or not image.chunks:
        return wanted
    return max(wanted // image.chunks[0], 1) * image.chunks[0]
