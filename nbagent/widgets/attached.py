"""What a transcript is told before its run begins, and what is attached to the prompt: names, and pictures.

Events tell only names and types, since they are logged and stored; the bytes come from who began the run. The static
twin has the names alone. It guarantees: both are few, and a name is one short line.
Below: `messages`, `media`, `plaintext`. Above: `document`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from nbagent.messages import Attachment
from nbagent.plaintext import plain
from nbagent.widgets import media


class About(TypedDict, total=False):
    """What is known of a run beforehand.

    Parameters
    ----------
    agent, model
        What the footer says until an event says better.
    heading
        The first line, where the transcript stands apart from the run that it belongs to.
    attachments
        What is attached to the prompt: events tell its names, and a live view shows pictures.
    """

    agent: str
    model: str
    heading: str
    attachments: Sequence[Attachment]


MOST = 20
"""Attachments that a prompt shows; of the others, how many they are."""


def names(attachments: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The names of what a `nbagent.events.UserMessage` tells as attached; of what has none, its type."""
    told = [" ".join(plain(str(one.get("name") or one.get("mime", "")), 80).split()) for one in attachments[:MOST]]
    return (*told, f"{len(attachments) - MOST:,} more") if len(attachments) > MOST else tuple(told)


def pictures(attachments: Iterable[Attachment]) -> tuple[Mapping[str, Any], ...]:
    """A MIME bundle for each, in order; of one that no page shows as a picture, an empty one."""
    return tuple(_picture(one) for _, one in zip(range(MOST), attachments, strict=False))


def _picture(one: Attachment) -> Mapping[str, Any]:
    shown = one.mime in media.IMAGES and len(one.data) <= media.IMAGE_LIMIT
    return {one.mime: one.data, "text/plain": one.name} if shown else {}
