"""The formats that are really checked: email, uri, date, date-time and a few of their kin.

`jsonschema` alone leaves most of them unchecked (date-time and uri without their extra packages), and what its helpers
accept is bent by ``$`` and ``\\d``: a trailing newline, digits of other scripts. So each value is first held to plain
ASCII without blanks. A format that is not listed here is an annotation, as the specification says.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?(Z|z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])\Z")
_URI_LIMIT = 8000


def fits(value: str, name: str) -> bool:
    """Whether `value` has the format `name`; true for a format that is not checked."""
    check = FORMATS.get(name)
    return check is None or check(value)


def _plain(value: str) -> bool:
    return value.isascii() and not any(c.isspace() or ord(c) < 32 for c in value)


def _email(value: str) -> bool:
    local, at, domain = value.rpartition("@")
    if not at or len(local) > 64 or len(domain) > 253 or not _LOCAL.match(local):
        return False
    return all(_LABEL.match(label) for label in domain.split("."))


def _idn_email(value: str) -> bool:
    local, _, domain = value.rpartition("@")
    return bool(local and domain) and "@" not in local and not any(c.isspace() for c in value)


def _uri(value: str) -> bool:
    from rfc3986_validator import validate_rfc3986  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

    if len(value) > _URI_LIMIT or not _plain(value):
        return False
    return bool(validate_rfc3986(value, rule="URI"))  # pyright: ignore[reportUnknownArgumentType]


def _date(value: str) -> bool:
    if not _DATE.match(value):
        return False
    try:
        datetime.date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _date_time(value: str) -> bool:
    from rfc3339_validator import validate_rfc3339  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

    if len(value) > 64 or not _plain(value) or not _TIME.match(value[11:]):
        return False
    return bool(validate_rfc3339(value.upper()))  # pyright: ignore[reportUnknownArgumentType]


def _time(value: str) -> bool:
    return bool(_TIME.match(value))


def _uuid(value: str) -> bool:
    return bool(re.match(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z", value))


FORMATS: dict[str, Callable[[str], bool]] = {
    "email": _email,
    "idn-email": _idn_email,
    "uri": _uri,
    "date": _date,
    "date-time": _date_time,
    "time": _time,
    "uuid": _uuid,
}
"""What checks each format, by its name."""
