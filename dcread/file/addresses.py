"""Origins and addresses: which hosts are on the public net, as far as text tells.

Nothing here opens a socket. A name that passes may still lead to a private address:
the engine shows `AddressRule` each address that it is about to connect to.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import re
from collections.abc import Callable, Collection
from typing import TypeAlias
from urllib.parse import urlsplit

from ..errors import PolicyError

__all__ = ["AddressRule", "is_url", "looks_like_url", "origin_of", "why_not_public"]

Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:[/\\]+")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")

STANDARD_PORTS = {"http": 80, "https": 443}

_PRIVATE_V4 = [
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by the customers of a provider
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, metadata of clouds
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments, all of them
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
]
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
_PRIVATE_V6 = [
    ipaddress.IPv6Network(text)
    for text in ("2001::/23", "2001:db8::/32", "3fff::/20")  # Teredo in the first
]
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")

_LOCAL_DOMAINS = (
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "private",
    "home.arpa",
    "in-addr.arpa",
    "onion",
)


def looks_like_url(text: str) -> bool:
    """Tell whether a location is a URL and no path (``C:/data`` is a path)."""
    return _URL.match(text) is not None


def is_url(target: object) -> bool:
    """Tell whether a target is a URL (and no path that exists and looks like one)."""
    return (
        isinstance(target, str)
        and looks_like_url(target)
        and not os.path.exists(target)
    )


@functools.lru_cache(maxsize=64)  # (asked for with each request)
def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, such as ``"https://example.org:443"``.

    Parameters
    ----------
    url : str
        An http, https or s3 URL; one slash after the colon (as `pathlib` leaves it)
        and backslashes are understood. The origin of an s3 URL is its bucket.

    Raises
    ------
    ValueError
        If it is none of them, or names a user.

    Examples
    --------
    >>> origin_of("HTTPS://Example.org/data.rtdc?id=5")
    'https://example.org:443'
    >>> origin_of("s3://bucket/data.rtdc")
    's3://bucket'
    """
    scheme, colon, rest = url.strip().replace("\\", "/").partition(":")
    scheme = scheme.lower()
    if not colon or scheme not in {"http", "https", "s3"} or not rest.startswith("/"):
        raise ValueError("expected a URL that begins with http://, https:// or s3://")
    place = urlsplit(f"{scheme}://{rest.lstrip('/')}")
    if "@" in place.netloc:
        raise ValueError("a URL must not contain a user or password; use Credentials")
    if not place.hostname:
        raise ValueError("the URL has no host")
    if scheme == "s3":
        return f"s3://{place.netloc}"
    port = place.port  # raises ValueError itself
    host = _canonical(place.hostname)
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{STANDARD_PORTS[scheme] if port is None else port}"


def why_not_public(host: str) -> str:
    """Return why a host is not one of the public net; "" if it may be.

    Parameters
    ----------
    host : str
        A name or a literal address, IPv6 with or without brackets. A name is not
        looked up: the address that it leads to is checked when it is connected to.

    Examples
    --------
    >>> why_not_public("example.org")
    ''
    >>> why_not_public("[::ffff:10.0.0.1]")
    '10.0.0.1 is a private or reserved address'
    """
    try:
        name = _canonical(host)
    except ValueError as exc:
        return str(exc)
    try:
        return why_not_public_address(ipaddress.ip_address(name))
    except ValueError:
        return _why_not_public_name(name)


def _why_not_public_name(name: str) -> str:
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        # As old C libraries read it: octal, hexadecimal, fewer than four parts.
        return f"{name} is an unusual spelling of an IP address"
    if not all(map(_LABEL.fullmatch, labels)):
        return f"{name!r} is not a host name"
    local = any(name == one or name.endswith(f".{one}") for one in _LOCAL_DOMAINS)
    if local or len(labels) == 1:  # metadata, printer, ...
        return f"{name} is a name of the local machine or network"
    return ""


def why_not_public_address(address: Address) -> str:
    """Return why an address is not on the public net; "" if it is.

    Addresses that carry an IPv4 address (mapped, 6to4, NAT64) are judged by that.
    """
    reason = f"{address} is a private or reserved address"
    if isinstance(address, ipaddress.IPv4Address):
        return reason if any(address in net for net in _PRIVATE_V4) else ""
    if address.scope_id:
        return reason
    if address in _MAPPED or address in _NAT64:
        return why_not_public_address(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if address in _SIX_TO_FOUR:
        inner = int(address) >> 80 & 0xFFFFFFFF
        return why_not_public_address(ipaddress.IPv4Address(inner))
    if address not in _PUBLIC_V6 or any(address in net for net in _PRIVATE_V6):
        return reason
    return ""


def _canonical(host: str) -> str:
    """Return a host in lower case, in ASCII, without brackets and final dot."""
    host = host.strip().removeprefix("[").removesuffix("]")
    if ":" in host:
        try:
            return str(ipaddress.ip_address(host))
        except ValueError:
            raise ValueError(f"{host!r} is not an IPv6 address") from None
    try:
        # (a name with characters that are spelled like digits, dots or slashes)
        name = host.encode("idna").decode("ascii").lower().rstrip(".")
    except UnicodeError:
        raise ValueError(f"{host!r} is not a host name") from None
    if not name or re.search(r"[\s/\\?#@:%\x00-\x20\x7f]", name):
        raise ValueError(f"{host!r} is not a host name")
    return name


class AddressRule:
    """Decides about each URL and each address before it is connected to.

    The engine's ``AddressGuard``: given to what reads from the network.

    Parameters
    ----------
    check_url : callable
        ``check_url(url)`` raises `PolicyError` for a URL that must not be contacted.
    named : collection of str
        Origins (see `origin_of`) that the *caller* named: they may be anywhere.
    """

    def __init__(
        self, check_url: Callable[[str], object], named: Collection[str] = ()
    ) -> None:
        self._check_url = check_url
        self.named = frozenset(named)

    def check_url(self, url: str) -> None:
        """Raise `PolicyError` if a URL (of a redirect, say) must not be contacted."""
        self._check_url(url)

    def check_address(self, origin: str, address: str) -> None:
        """Raise `PolicyError` if an address must not be connected to.

        Parameters
        ----------
        origin : str
            As `origin_of` gives it.
        address : str
            The numeric address that the host of this origin has.
        """
        if origin in self.named:
            return
        reason = why_not_public_address(ipaddress.ip_address(address))
        if reason:
            raise PolicyError(
                f"{origin}: its address is not public ({reason}); if you "
                f"trust this server, allow it by Policy(hosts=[{origin!r}])"
            )
