"""Does a form ask for a secret? MCP forbids a server to, in form mode, and nbagent refuses such a form.

A field is judged by its name, its title and its format, not by its description (which may say "no passwords please").
The words of a secret must stand at the end of the name: ``github_token`` asks for one, ``tokens_used`` and
``token_count`` count something, ``password_policy`` names a policy. Booleans and choices hold no secret, and numbers
only a few kinds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from nbagent.plaintext import plain
from nbagent.schema.shapes import is_list, is_object

_ANY = """
    password; passwords; passwd; pwd; passphrase; pass phrase; passcode; pass code; passkey; pass key; pass word
    secret; credential; credentials; token; apikey; apitoken; jwt
    api key; api token; access key; access token; auth token; secret key; private key; ssh key; encryption key
    signing key
    seed phrase; recovery phrase; mnemonic; mnemonic phrase; recovery key; recovery code; backup code
    card number; credit card; creditcard; debit card; cardnumber
    passwort; kennwort; mot de passe; contraseña; senha; wachtwoord; lösenord; hasło
    пароль; 密码; 密碼; パスワード; 비밀번호
"""
_ALSO_NUMBERS = """
    pin; pin code; pin number; otp; otp code; totp; totp code; mfa code; 2fa code; one time code; one time password
    verification code; security code; cvv; cvc; cvv2; cvc2; cvv code; cvc code; card number; credit card; cardnumber
"""
_FILLERS = {"value", "string", "here", "again", "confirm", "confirmation", "repeat", "please", "text", "field", "input"}
_COUNTED = {"max", "min", "number", "count", "no", "num", "total", "per", "next", "page", "prev", "previous", "stop"}
_OTHER = {"start", "end", "eos", "bos", "pad", "design", "color", "colour", "continuation", "sync", "cursor"}
"""Words before a phrase that make it something else: a number of tokens, the token of the next page."""


def _phrases(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(phrase.split()) for line in text.split("\n") for phrase in line.split(";") if phrase.strip())


_NUMBER_PHRASES = _phrases(_ALSO_NUMBERS)
_TEXT_PHRASES = _phrases(_ANY) + _NUMBER_PHRASES


def secret_field(schema: Mapping[str, Any] | None) -> str | None:
    """The name of a field that asks for a secret, or None.

    Parameters
    ----------
    schema
        The schema of an elicitation; nested objects and lists are searched too.

    Examples
    --------
    >>> secret_field({"properties": {"user": {"type": "string"}, "apiKey": {"type": "string"}}})
    'apiKey'
    >>> secret_field({"properties": {"tokens_used": {"type": "integer"}, "author": {"type": "string"}}})
    """
    for name, title, field in _fields(schema, "", 0):
        if _asks(name.rpartition(".")[2], field) or _asks(title, field):
            return name
    return None


def _fields(schema: Any, prefix: str, depth: int) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Name, title and schema of every field, nested ones under dotted names."""
    if not is_object(schema) or depth > 8:
        return
    for key in ("allOf", "anyOf", "oneOf", "prefixItems", "$defs", "definitions", "dependentSchemas"):
        parts: Any = schema.get(key)
        for part in parts.values() if is_object(parts) else parts if is_list(parts) else ():
            yield from _fields(part, prefix, depth + 1)
    for key in ("items", "additionalProperties", "if", "then", "else"):
        yield from _fields(schema.get(key), prefix, depth + 1)
    properties: Any = schema.get("properties")
    for name, field in properties.items() if is_object(properties) else ():
        if is_object(field):
            yield f"{prefix}{name}", str(field.get("title", "")), field
            yield from _fields(field, f"{prefix}{name}.", depth + 1)


def _asks(text: str, field: Mapping[str, Any]) -> bool:
    if field.get("format") == "password" or field.get("writeOnly") is True:
        return True
    if field.get("type") in ("boolean", "object") or any(key in field for key in ("enum", "oneOf", "const")):
        return False
    phrases = _NUMBER_PHRASES if field.get("type") in ("integer", "number") else _TEXT_PHRASES
    words = _words(text)
    return any(
        tuple(words[-len(phrase) :]) == phrase and not (set(words[: -len(phrase)][-1:]) & (_COUNTED | _OTHER))
        for phrase in phrases
    )


def _words(text: str) -> list[str]:
    """The words of a name or title in lower case, cut at what only explains it."""
    text = plain(unicodedata.normalize("NFKC", text[:200]))
    text = re.sub(r"\([^)]*\)|\[[^\]]*\]|_", " ", text)
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", text)
    text = re.split(r"\b(?:for|of|to|from|used|with|on)\b|[:,?]", text, maxsplit=1, flags=re.IGNORECASE)[0]
    words = [re.sub(r"(?<=[a-z])[0-9]$", "", word) for word in re.findall(r"\w+", text.lower())]
    while words and (words[-1] in _FILLERS or words[-1].isdigit()):
        words.pop()
    return words
