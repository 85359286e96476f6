"""What a model raises, as a `ModelError`: another's code, whose own exceptions say nothing to a person.

Used by `modelcall` and `compaction` around their listening to a model. It guarantees: an interrupt and a cancellation
pass as they are, and so does a `ModelError`, which the model's adapter has worded itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from nbagent import boundary
from nbagent.errors import ModelError
from nbagent.ports import Model


@contextlib.contextmanager
def as_model_error(model: Model) -> Generator[None]:
    """Raise what fails in the block as a `ModelError` that names the model."""
    try:
        yield
    except ModelError:
        raise
    except BaseException as error:
        if not boundary.is_failure(error):
            raise
        raise ModelError(f"{model.name} failed: {boundary.told(error)}") from error
