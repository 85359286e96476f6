"""Keys are found where they should be, looked up anew for each request, and shown nowhere."""

from __future__ import annotations

import json
import logging
import traceback
from pathlib import Path
from typing import Any

import anyio
import pytest

from nbagent.agent import Agent
from nbagent.errors import ModelError
from nbagent.events import Error, Event
from nbagent.models import ProviderModel
from nbagent.models.keys import parsed, read_secrets, without
from nbagent.ports import ModelRequest
from nbagent.runtime import Runtime
from nbagent.session import Message, Session
from tests.models.formats import FORMATS, Chat, Messages, Responses
from tests.models.server import Reply, provider, refusal

pytestmark = pytest.mark.anyio
CANARY = "sk-canary-5f1d7a3e"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of its own, and no key in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1\nB = two words \n", {"A": "1", "B": "two words"}),
        ("export A=1 # one\n#B=2\n\nnonsense\n=3", {"A": "1"}),
        ('A=\'a # b\'\nB="x\\ny\\"z" # c', {"A": "a # b", "B": 'x\ny"z'}),
        ("A=\nA=2\nB=a#b\r\n", {"A": "2", "B": "a#b"}),
        ("A='open", {"A": "'open"}),
    ],
)
def test_a_dotenv_is_read_as_it_is_written(text: str, found: dict[str, str]) -> None:
    assert parsed(text) == found


def test_the_environment_comes_before_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.joinpath(".env").write_text("OPENAI_API_KEY=of-file\nOTHER=x", encoding="utf-8-sig")
    assert read_secrets().key(["OPENAI_API_KEY"]) == "of-file"
    monkeypatch.setenv("OPENAI_API_KEY", "of-environment")
    assert read_secrets().key(["OPENAI_API_KEY"]) == "of-environment"
    assert read_secrets().get("OTHER") == "x" and read_secrets().get("NONE") is None
    assert "of-file" not in repr(read_secrets())


def test_a_file_that_is_none_is_no_key(folder: Path) -> None:
    folder.joinpath(".env").mkdir()
    assert read_secrets().key(["OPENAI_API_KEY"]) is None


async def ask(model: ProviderModel) -> list[Any]:
    with anyio.fail_after(60):
        return [chunk async for chunk in model.stream(ModelRequest([Message("user", "hi")]))]


async def test_a_missing_key_is_one_line_that_says_what_to_set() -> None:
    with pytest.raises(ModelError) as caught:
        await ask(ProviderModel("openai:gpt-5-mini"))
    assert caught.value.code == "auth"
    assert str(caught.value) == (
        "openai:gpt-5-mini needs a key: "
        "set OPENAI_API_KEY in the environment, or in the file .env of the working folder"
    )


async def test_the_file_is_read_anew_for_each_request(folder: Path) -> None:
    model = ProviderModel("openai-chat:m")
    async with provider(Reply(Chat().said(["Hi."]))) as served:
        for key in ("first", "second"):
            folder.joinpath(".env").write_text(f"OPENAI_API_KEY={key}\nOPENAI_BASE_URL={served.url}/v1\n")
            await ask(model)
    assert ["bearer first" in served.headers[0].lower(), "bearer second" in served.headers[1].lower()] == [True, True]


async def test_a_folder_cannot_have_the_users_own_key_sent_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    async with provider(Reply(Chat().said(["Hi."]))) as served:
        folder.joinpath(".env").write_text(f"OPENAI_BASE_URL={served.url}/v1\n")
        with pytest.raises(ModelError, match=r"the file \.env sets OPENAI_BASE_URL"):
            await ask(ProviderModel("openai-chat:m"))
        assert served.requests == []
        monkeypatch.setenv("OPENAI_BASE_URL", f"{served.url}/v1")
        await ask(ProviderModel("openai-chat:m"))
    assert CANARY in served.headers[0]


async def test_a_key_of_another_name_is_found(folder: Path) -> None:
    folder.joinpath(".env").write_text("MINE=of-mine")
    async with provider(Reply(Chat().said(["Hi."]))) as served:
        await ask(Chat().model(served.url, key_name="MINE"))
    assert "of-mine" in served.headers[0]


async def events_of(model: ProviderModel, session: Session) -> list[Event]:
    with anyio.fail_after(60):
        async with Runtime(Agent("helper", model=model)).run_stream(session, "hi") as stream:
            return [event async for event in stream]


@pytest.mark.parametrize("spoken", FORMATS, ids=lambda spoken: type(spoken).__name__)
@pytest.mark.parametrize("status", [401, 400, 500, 200])
async def test_a_key_is_in_no_event_error_log_or_repr(
    spoken: Chat | Responses | Messages, status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(spoken.key_name, CANARY)
    caplog.set_level(logging.DEBUG)
    reply = Reply(spoken.said(["Hi."])) if status == 200 else refusal(status, f"Incorrect API key: {CANARY}")
    async with provider(reply) as served:
        model = spoken.model(served.url, retries=0)
        session = Session()
        events = await events_of(model, session)
        shown = [json.dumps([event.to_dict() for event in events]), session.to_json(), repr(model), caplog.text]
        if status != 200:
            with pytest.raises(ModelError) as caught:
                await ask(model)
            shown += traceback.format_exception(caught.value)
            codes = {event.code for event in events if isinstance(event, Error)}
            assert codes == {"auth" if status == 401 else "model_error"}
    assert CANARY in served.headers[0]
    assert [text for text in shown if CANARY in text] == []


async def test_a_refused_key_is_one_line_that_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    async with provider(refusal(401, "no", "invalid_api_key")) as served:
        with pytest.raises(ModelError, match=r"refused the key; set OPENAI_API_KEY in the environment") as caught:
            await ask(Chat().model(served.url))
    assert caught.value.code == "auth" and len(served.requests) == 1


def test_a_key_that_was_given_is_not_in_the_repr() -> None:
    assert "secret" not in repr(ProviderModel("openai:m", api_key="secret"))
    assert without("a secret b", "secret") == "a [key] b" and without("a", None) == "a"


def test_a_short_key_is_taken_out_where_it_stands_alone_and_words_stay_whole() -> None:
    assert without("max context: x, 'x' and x.", "x") == "max context: [key], '[key]' and [key]."
    assert without("keysk-12345678!", "sk-12345678") == "key[key]!"


async def test_a_key_in_the_keyring_is_found_after_environment_and_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keyring
    from keyring.backend import KeyringBackend
    from keyring.errors import KeyringLocked

    class Ring(KeyringBackend):
        priority = 1  # pyright: ignore[reportAssignmentType, reportIncompatibleVariableOverride]
        locked = False

        def get_password(self, service: str, username: str) -> str | None:
            if self.locked:
                raise KeyringLocked
            return "sk-of-the-ring" if (service, username) == ("nbagent", "OPENAI_API_KEY") else None

        def set_password(self, service: str, username: str, password: str) -> None:
            raise NotImplementedError

        def delete_password(self, service: str, username: str) -> None:
            raise NotImplementedError

    before, ring = keyring.get_keyring(), Ring()
    keyring.set_keyring(ring)
    try:
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        (folder / ".env").write_text("")
        assert read_secrets().key(["OPENAI_API_KEY"]) == "sk-of-the-ring"
        assert read_secrets().key(["ANTHROPIC_API_KEY_THAT_IS_NOT_SET"]) is None
        monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
        assert read_secrets().key(["OPENAI_API_KEY"]) == "sk-of-the-environment"
        monkeypatch.delenv("OPENAI_API_KEY")
        ring.locked = True
        assert read_secrets().key(["OPENAI_API_KEY"]) is None
    finally:
        keyring.set_keyring(before)
