"""Whether a basin belongs to this measurement."""

from __future__ import annotations

from ..errors import BasinIdentifierMismatchError
from ..problems import one_line
from .definition import BasinDefinition


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
