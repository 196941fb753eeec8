"""Basins in HDF5 files in S3 storage (format ``s3``)."""

from __future__ import annotations

from collections.abc import Iterable

from ..file.addresses import looks_like_url
from .base import Basin
from .context import BasinContext
from .definition import BasinDefinition
from .hookspecs import hookimpl
from .http import HTTPBasin


class S3Basin(HTTPBasin):
    """The features in ``/events`` of an HDF5 file that is an S3 object.

    Locations are URLs, or ``bucket/key`` where the caller or the environment names
    the service. Requests are signed where there are credentials for it.
    """

    format = "s3"

    @classmethod
    def locations(
        cls, definition: BasinDefinition, context: BasinContext
    ) -> Iterable[str]:
        """Return the stored places as URLs."""
        for place in definition.urls or definition.paths:
            yield place if looks_like_url(place) else f"s3://{place.lstrip('/')}"


@hookimpl
def dcread_register_basins() -> type[Basin]:
    """Offer the format ``s3``."""
    return S3Basin
