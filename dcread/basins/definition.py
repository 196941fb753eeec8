"""Basin definitions: what a file says about where its features come from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import BasinError, BasinIdentifierMismatchError
from ..problems import one_line

_TYPE_OF_FORMAT = {
    "h5dataset": "internal",
    "h5datasetchop": "internal",
    "hdf5": "file",
    "http": "remote",
    "s3": "remote",
    "dcor": "remote",
}
_FORMAT_OF_TYPE = {"internal": "h5dataset", "file": "hdf5"}
_TEXTS = ("type", "format", "mapping", "identifier")
_SHOWN = ("name", "description", "key")
_LISTS = ("paths", "urls", "features")
_MAP_NAME = re.compile(r"\w+", re.ASCII)

MAX_TEXTS = 100_000
"""How many paths, URLs and feature names all definitions of a file may list."""


class TextBudget:
    """How many paths, URLs and feature names more the definitions of a file may list.

    Held before a list is built: twenty texts of 1 MiB can name two million places.
    """

    def __init__(self, texts: int = MAX_TEXTS) -> None:
        self._left = texts

    def take(self, raw: Mapping[str, Any]) -> None:
        """Count the texts of a definition, or raise BasinError."""
        count = 0
        for name in _LISTS:
            item = raw.get(name)
            count += len(item) if isinstance(item, (list, tuple)) else 0
        if count > self._left:
            raise BasinError(
                f"it lists {count} paths, URLs and features; all definitions of a file "
                f"may list {MAX_TEXTS}"
            )
        self._left -= count


@dataclass(frozen=True)
class BasinDefinition:
    """One basin as a file (or a caller) defines it.

    Attributes
    ----------
    name, description : str or None
        For people; names need not be unique.
    type, format : str
        Which plugin reads the basin (see `Basin`).
    paths, urls : tuple of str
        Alternative locations of local and of remote basins.
    features : tuple of str or None
        The features that may be taken from the basin; None for all.
    mapping : str or None
        The feature that maps events of the referrer to rows of the basin; None
        (stored as null or ``"same"``) if both have the same events.
    identifier : str or None
        The measurement identifier that the basin must have.
    perishable : bool
        Whether the location is valid for a limited time only.
    key : str or None
        Name of the definition in the file.
    raw : mapping
        The definition as stored, unknown keys included.

    Examples
    --------
    >>> stored = {"type": "file", "format": "hdf5", "paths": ["raw.rtdc"]}
    >>> definition = dcread.BasinDefinition.parse(stored | {"features": ["image"]})
    >>> definition.paths, definition.features, definition.mapping
    (('raw.rtdc',), ('image',), None)
    """

    name: str | None
    description: str | None
    type: str
    format: str
    paths: tuple[str, ...] = ()
    # URLs can carry signatures, which must not show up in a repr.
    urls: tuple[str, ...] = field(default=(), repr=False)
    features: tuple[str, ...] | None = None
    mapping: str | None = None
    identifier: str | None = None
    perishable: bool = False
    key: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def label(self) -> str:
        """What messages call the basin.

        Examples
        --------
        >>> stored = {"name": "raw", "type": "file", "format": "hdf5", "paths": ["r"]}
        >>> dcread.BasinDefinition.parse(stored).label
        'raw'
        """
        return one_line(self.name or self.key or f"{self.type} basin", 100)

    @classmethod
    def parse(
        cls, raw: object, key: str | None = None, budget: TextBudget | None = None
    ) -> BasinDefinition:
        """Read a definition leniently.

        Parameters
        ----------
        raw : mapping
            The decoded JSON object; never changed.
        key : str, optional
            Name of the definition in the file.
        budget : TextBudget, optional
            Shared by the definitions of a file.

        Returns
        -------
        BasinDefinition

        Raises
        ------
        BasinError
            If something that is needed to use the basin safely has a wrong type.

        Examples
        --------
        >>> stored = {"type": "remote", "format": "http", "urls": ["https://example.org/x.rtdc"]}
        >>> dcread.BasinDefinition.parse(stored).urls
        ('https://example.org/x.rtdc',)
        """
        if not isinstance(raw, Mapping):
            raise BasinError(
                f"the definition should be an object, found {_kind(raw)}; "
                "it is left out"
            )
        (budget or TextBudget()).take(raw)
        texts = tuple(map(raw.get, _TEXTS))
        for name, value in zip(_TEXTS, texts, strict=True):
            if value is not None and not isinstance(value, str):
                raise BasinError(
                    f"'{name}' should be text or null, found {_kind(value)}"
                )
        type_, format_, mapping, identifier = texts
        type_ = type_ or _TYPE_OF_FORMAT.get(format_ or "")
        if not type_:
            raise BasinError(
                "the definition has no 'type' (internal, file, remote, or a plugin's)"
            )
        if mapping is not None and not _MAP_NAME.fullmatch(mapping):
            raise BasinError(
                f"'mapping' should be null, 'same' or the name of a feature such as "
                f"basinmap0, found {mapping[:80]!r}"
            )
        lists: dict[str, tuple[str, ...] | None] = dict.fromkeys(_LISTS)
        for name in _LISTS:
            value = raw.get(name)
            if value is not None:
                lists[name] = _texts(name, value)
        # What is only shown does no harm, whatever it is.
        label, description, own_key = [
            value if isinstance(value, str) and value else None
            for value in map(raw.get, _SHOWN)
        ]
        return cls(
            name=label,
            description=description,
            type=type_,
            # The peer looks at the type only, so old callers leave the format out.
            format=format_ or _FORMAT_OF_TYPE.get(type_, ""),
            paths=lists["paths"] or (),
            urls=lists["urls"] or (),
            features=lists["features"],
            mapping=None if mapping == "same" else mapping,
            identifier=identifier or None,
            perishable=raw.get("perishable") is True,
            key=key or own_key,
            raw=raw,
        )


def check_identifier(
    definition: BasinDefinition,
    location: str,
    found: str | None,
    referrer: str | None,
) -> str:
    """Check the measurement identifier of a basin.

    Parameters
    ----------
    definition : BasinDefinition
        With the identifier that the basin must have, if any.
    location : str
        Where the basin lies.
    found : str or None
        The identifier that it has.
    referrer : str or None
        The identifier of the file with the definition.

    Returns
    -------
    str
        What is worth knowing although the basin passes; may be empty.

    Raises
    ------
    BasinIdentifierMismatchError
        If the basin belongs to another measurement.
    """
    expected = definition.identifier
    if expected is not None and found != expected:
        raise BasinIdentifierMismatchError(
            f"The basin '{one_line(location)}' with identifier '{found}' does not "
            f"match the expected identifier '{expected}'; it is another measurement, "
            "find the right file or correct the definition"
        )
    if not found or not referrer:
        who = "the basin" if not found else "the file"
        return f"not checked: {who} has no measurement identifier"
    if found == referrer:
        return ""
    extended = referrer.startswith(found + "_")
    if definition.mapping is not None and extended:
        return ""
    if definition.mapping is not None and referrer.startswith(found):
        return f"its identifier '{found}' begins that of the file, '{referrer}'"
    if extended and expected is not None:
        # A segmentation that kept every event extends the identifier and needs no
        # map; the writer vouches for the basin by naming its identifier.
        return (
            f"its identifier '{found}' begins that of the file, '{referrer}', although "
            "the basin has no map"
        )
    raise BasinIdentifierMismatchError(
        f"The basin '{one_line(location)}' with identifier '{found}' does not match "
        f"the identifier '{referrer}' of the file that refers to it; it is another "
        "measurement, or one side has a wrong 'experiment:run identifier'"
    )


def _kind(value: object) -> str:
    return {"NoneType": "null", "dict": "an object", "list": "a list"}.get(
        type(value).__name__, type(value).__name__
    )


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise BasinError(
            f"'{name}' should be a list of texts or null, found {_kind(value)}"
        )
    texts: dict[str, None] = {}
    for item in value:
        # A caller may give pathlib objects where a file can only give text.
        text = item.__fspath__() if hasattr(item, "__fspath__") else item
        if not isinstance(text, str):
            raise BasinError(f"'{name}' should hold texts only, found {value!r:.80}")
        texts[text] = None
    return tuple(texts)
