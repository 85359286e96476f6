"""Text made plain, for whatever draws: `nbagent.plaintext` under the name that `widgets` knows it by."""

from __future__ import annotations

from nbagent.plaintext import plain, visible

__all__ = ["plain", "visible"]
