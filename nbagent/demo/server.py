"""The demo's MCP server: a park office that offers a picnic table after asking what the guests want.

Run as ``python -m nbagent.demo.server`` it speaks MCP on stdin and stdout, in both protocol eras: the question is
declared as a dependency of the tool, so that the library asks it as a request in the first era and as a part of the
result in the second. It reads and writes nothing outside of its own process, and knows nothing of nbagent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from mcp.server import MCPServer
from mcp.server.elicitation import AcceptedElicitation, DeclinedElicitation, ElicitationResult
from mcp.server.mcpserver.resolve import Elicit, Resolve
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field

Place = Literal["by the lake", "under the lime trees", "near the playground"]
Extra = Literal["grill", "drinking water", "shade"]


@dataclass(frozen=True, slots=True)
class Table:
    """A picnic table of the park."""

    number: int
    place: Place
    seats: int
    extras: tuple[Extra, ...]


TABLES = (
    Table(2, "by the lake", 4, ("shade",)),
    Table(3, "by the lake", 8, ("grill", "drinking water")),
    Table(5, "under the lime trees", 6, ("shade", "drinking water")),
    Table(7, "under the lime trees", 12, ("shade", "grill", "drinking water")),
    Table(9, "near the playground", 6, ("drinking water",)),
    Table(10, "near the playground", 10, ("grill", "shade")),
)


class Wishes(BaseModel):
    """What the guests want; becomes the form."""

    name: str = Field(
        title="Name on the sign", description="So that your guests find you.", min_length=2, max_length=40
    )
    guests: int = Field(default=4, title="Guests", description="Children count too.", ge=1, le=12)
    place: Place = Field(default="under the lime trees", title="Where")
    arrival: Literal["11:00", "12:00", "13:00", "15:00"] = Field(default="12:00", title="From")
    extras: list[Extra] = Field(default=["shade"], title="Would be nice", description="As many as you like.")
    dog: bool = Field(default=False, title="We bring a dog")


class Offer(BaseModel):
    """What the office answers; `note` says what could not be had, or why there is no table."""

    status: Literal["found", "declined", "cancelled"]
    day: str
    table: int | None = None
    seats: int = 0
    place: str = ""
    arrival: str = ""
    extras: list[str] = []
    guests: int = 0
    name: str = ""
    note: str = ""


server = MCPServer("park-office", instructions="Offers picnic tables.")


def choose(wishes: Wishes) -> Table:
    """The table that seats the guests and grants the most wishes, the place first, then the smallest."""
    return max(
        (table for table in TABLES if table.seats >= wishes.guests),
        key=lambda table: (table.place == wishes.place, len(set(wishes.extras) & set(table.extras)), -table.seats),
    )


def offer(day: str, wishes: Wishes) -> Offer:
    """The chosen table as an offer, with what it lacks."""
    table = choose(wishes)
    lacking = [f"a table {wishes.place}"] if table.place != wishes.place else []
    lacking += [extra for extra in wishes.extras if extra not in table.extras]
    notes = [f"not there: {', '.join(lacking)}"] if lacking else []
    notes += ["keep the dog on the lead near the water"] if wishes.dog and table.place == "by the lake" else []
    return Offer(
        status="found",
        day=day,
        table=table.number,
        seats=table.seats,
        place=table.place,
        arrival=wishes.arrival,
        extras=list(table.extras),
        guests=wishes.guests,
        name=wishes.name,
        note="; ".join(notes),
    )


def ask_wishes(day: str) -> Elicit[Wishes]:
    """The question that the tool needs answered first."""
    return Elicit(f"Which table would you like on {day}?", Wishes)


@server.tool(annotations=ToolAnnotations(title="Find a picnic table", read_only_hint=True))
def find_table(day: str, wishes: Annotated[ElicitationResult[Wishes], Resolve(ask_wishes)]) -> Offer:
    """Find a free picnic table; asks the user for the number of guests and for wishes."""
    match wishes:
        case AcceptedElicitation(data=data):
            return offer(day, data)
        case DeclinedElicitation():
            return Offer(status="declined", day=day, note="the form was declined, so no table was looked for")
        case _:
            return Offer(status="cancelled", day=day, note="the form was cancelled, so no table was looked for")


if __name__ == "__main__":
    server.run("stdio")
