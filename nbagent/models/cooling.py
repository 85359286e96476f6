"""Which models of a chain are asked first: one that has just failed is passed over for a while.

Used by `provided`. It guarantees: where all of a chain have failed, all are asked, in their order.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from nbagent.errors import ModelError
from nbagent.ports import Model


@dataclass(slots=True)
class Cooling:
    """What is remembered of failures.

    Parameters
    ----------
    seconds
        For how long a model is passed over, where the provider asks for no more.
    """

    seconds: float
    _until: dict[int, tuple[float, str]] = field(default_factory=dict[int, tuple[float, str]])

    def order(self, chain: Sequence[Model]) -> tuple[list[Model], str]:
        """The models to ask, in order, and why the chain's first is not among them."""
        now = time.monotonic()
        cooling = {place: why for place, (until, why) in self._until.items() if until > now}
        ready = [model for model in chain if id(model) not in cooling]
        if not ready:
            return list(chain), ""
        return ready, cooling.get(id(chain[0]), "")

    def failed(self, model: Model, error: ModelError) -> None:
        """The model failed; one whose key is missing is asked again at once, since that is put right in a moment."""
        if error.code != "auth":
            seconds = max(self.seconds, error.retry_after or 0)
            self._until[id(model)] = (time.monotonic() + seconds, f"it failed a moment ago: {error}")

    def answered(self, model: Model) -> None:
        """The model answers again."""
        self._until.pop(id(model), None)
