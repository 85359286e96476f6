"""The demo's script: what the scripted model says and calls, step by step, from what the tools answered.

A turn has three steps: the forecast is asked, then the park office, then the plan is written. Which one is due is read
from the messages since the user's last, so the story can be told again in the same session, after an interrupt, and to
somebody who declines the form. `nbagent.demo.agent` puts it into a `ScriptedModel`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast, get_args

from nbagent.models import ToolCall
from nbagent.session import Message

Day = Literal["Friday", "Saturday", "Sunday"]
DAYS: tuple[Day, ...] = get_args(Day)

FORECAST: dict[Day, dict[str, Any]] = {
    "Friday": {"sky": "showers", "high": 17, "rain": "70 %", "best": "after 16:00"},
    "Saturday": {"sky": "sunny", "high": 24, "rain": "5 %", "best": "11:00 to 19:00"},
    "Sunday": {"sky": "fair, a breeze", "high": 21, "rain": "20 %", "best": "10:00 to 16:00"},
}


def forecast(day: Day) -> dict[str, Any]:
    """Look up the weather; the figures are made up.

    Parameters
    ----------
    day
        The day of the picnic.
    """
    return {"day": day, **FORECAST[day]}


def chosen_day(messages: Sequence[Message]) -> Day:
    """The day that the user's last message names, else Saturday."""
    words = next((message.content for message in reversed(messages) if message.role == "user"), "").lower()
    named: list[Day] = [day for day in DAYS if day.lower() in words]
    return named[0] if named else "Saturday"


def since_user(messages: Sequence[Message]) -> list[Message]:
    """What was said after the user's last message."""
    last = max((index for index, message in enumerate(messages) if message.role == "user"), default=-1)
    return list(messages[last + 1 :])


def answer_of(messages: Sequence[Message], tool: str) -> dict[str, Any]:
    """What `tool` answered in this turn, or ``{"error": text}`` where that does not begin with an object."""
    calls = {call.id for message in messages for call in message.tool_calls if call.name == tool}
    text = next((m.content for m in reversed(messages) if m.role == "tool" and m.tool_call_id in calls), "no answer")
    try:
        answer: Any = json.JSONDecoder().raw_decode(text)[0]  # a note about who answered may follow
    except ValueError:
        answer = None
    return cast("dict[str, Any]", answer) if isinstance(answer, dict) else {"error": text}


def greet(messages: Sequence[Message]) -> list[str | ToolCall]:
    """Say what this is, and ask for the weather."""
    day = chosen_day(messages)
    return [
        "*I am a scripted demo: no language model is asked, and nothing leaves this computer.* "
        f"What you see around my words is the real thing.\n\nA picnic on **{day}**: first the weather.",
        ToolCall("forecast", {"day": day}),
    ]


def ask_office(messages: Sequence[Message]) -> list[str | ToolCall]:
    """Comment on the weather, and ask the park office, which asks the user."""
    weather = answer_of(since_user(messages), "forecast")
    view = f"{weather['sky']}, up to {weather['high']} °C" if "error" not in weather else "I could not find out"
    return [
        f"The forecast: {view}. Now a table: the park office, an MCP server, will ask you a few things. "
        "Its form appears here, in the running cell.",
        ToolCall("find_table", {"day": chosen_day(messages)}),
    ]


def conclude(messages: Sequence[Message]) -> str:
    """Write the plan, or say why there is none."""
    offer = answer_of(since_user(messages), "find_table")
    if offer.get("status") == "found":
        return plan(offer, answer_of(since_user(messages), "forecast"))
    reason = offer.get("note") or offer.get("error") or "the park office offered none"
    return (
        f"No table this time: {reason}.\n\n"
        "Run the cell again and fill the form in, or hand the answers over beforehand with `--answers`."
    )


def plan(offer: dict[str, Any], weather: dict[str, Any]) -> str:
    """The plan as markdown: a table, a list, a piece of code."""
    guests = int(offer["guests"])
    extras = ", ".join(offer["extras"]) or "nothing else"
    note = f"\n> Mind: {offer['note']}.\n" if offer["note"] else ""
    return f"""### {offer["day"]}: table {offer["table"]}, {offer["place"]}

| Picnic | {offer["day"]} |
|:--|:--|
| Sign | **{as_cell(offer["name"])}** |
| Guests | {guests} of {offer["seats"]} seats |
| From | {offer["arrival"]} |
| At the table | {extras} |
| Weather | {weather.get("sky", "unknown")}, best {weather.get("best", "any time")} |
{note}
What to bring for {guests}:

```python
guests = {guests}
lemonade = 0.5 * guests        # litres
sandwiches = 2 * guests + 2    # somebody is always hungrier
print(f"{{lemonade}} l of lemonade, {{sandwiches}} sandwiches")
```

That is {0.5 * guests:g} litres and {2 * guests + 2} sandwiches. Enjoy your picnic!
"""


def as_cell(text: str) -> str:
    """`text` so that it stays within one cell of a markdown table, and plain."""
    return "".join(f"\\{sign}" if sign in r"\`*_{}[]<>()#+-.!|~" else sign for sign in " ".join(text.split()))


STEPS: tuple[Callable[[Sequence[Message]], Any], ...] = (greet, ask_office, conclude)


def step(messages: Sequence[Message]) -> Any:
    """Play whichever step this turn has come to."""
    said = sum(message.role == "assistant" for message in since_user(messages))
    return STEPS[min(said, len(STEPS) - 1)](messages)


SCRIPT = [step] * 3000
"""A thousand tellings in one session; `step` finds its own place."""
