"""Basins in HDF5 files behind web addresses (format ``http``)."""

from __future__ import annotations

import time
import weakref

from ..engine.urls import is_signed, without_signature
from .base import Basin, Opened
from .hookspecs import hookimpl

EARLY_SECONDS = 30
"""An address that expires is renewed this long before."""


class HTTPBasin(Basin):
    """The features in ``/events`` of an HDF5 file behind an http or https URL."""

    format = "http"
    type = "remote"
    reach = "remote"

    def open(self) -> Opened:
        """Open the file; an address that has expired is asked for anew, once."""
        expires = self.definition.raw.get("time_expiration")
        url = self.location
        if isinstance(expires, (int, float)) and expires - EARLY_SECONDS < time.time():
            url = self.renewed_url()
        if not (self.definition.perishable or is_signed(url)):
            return self.context.open_url(url)
        this = weakref.ref(self)  # the open file must not lead back to its basin

        def renew() -> str:
            basin = this()
            return url if basin is None else basin.renewed_url()

        return self.context.open_url(url, renew=renew)

    def renewed_url(self) -> str:
        """Return the address as the referrer tells it now."""
        found = self.context.renewed(self.definition)
        urls = () if found is None else found.urls
        place = without_signature(self.location)
        same = [url for url in urls if without_signature(url) == place]
        return next(iter((*same, *urls, self.location)))


@hookimpl
def dcread_register_basins() -> type[Basin]:
    """Offer the format ``http``."""
    return HTTPBasin
