"""A message that reaches a widget after its end says nothing in any cell.

A person types into a form while its run ends, or a page asks a transcript for its text a moment too late. The `comm`
package warns of each such message, and where nobody has set up logging Python prints warnings to stderr, which is the
user's cell. While nbagent is attached, that one warning is dropped. Below: nothing of nbagent. Above: `attachment`.
"""

from __future__ import annotations

import logging

_LOGGER = "Comm"
_WARNING = "No such comm: %s"


class Latecomers:
    """Drops the warning about messages for widgets that are gone."""

    def attach(self) -> None:
        """Drop it from now on."""
        logging.getLogger(_LOGGER).addFilter(self._passes)

    def detach(self) -> None:
        """Let it through again."""
        logging.getLogger(_LOGGER).removeFilter(self._passes)

    @staticmethod
    def _passes(record: logging.LogRecord) -> bool:
        return record.msg != _WARNING
