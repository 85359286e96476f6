"""P11: what may run unasked, what never, and what a hostile call makes of a rule."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbagent.errors import ConfigError
from nbagent.permissions import EVERYTHING, Decision, Mode, Permissions, check_mode, decide, exactly, read, suggested
from nbagent.permissions.globs import SHELL, Glob, quoted
from nbagent.permissions.patterns import with_argument
from nbagent.ports import Tool, ToolContext, ToolResult, ToolSpec
from nbagent.toolsets import FunctionTool, MCPToolset
from nbagent.toolsets.mcp.toolset import MCPTool


class AnyTool:
    """A tool of any toolset."""

    def __init__(self, name: str = "shell", *, toolset: str = "", asks: bool = True, schema: Any = None) -> None:
        self.spec = ToolSpec(name, "", schema or {"type": "object"})
        self.toolset = toolset
        self.asks_approval = asks

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        raise AssertionError("nothing is called here")


class Served(AnyTool):
    """A tool of an MCP server, as rules see it."""

    kind = "mcp"


HARMLESS = AnyTool("look", asks=False)
SHELL_TOOL = AnyTool()
ISSUES = Served("gh_create_issue", toolset="github")
ISSUES.own_name = "create_issue"  # pyright: ignore[reportAttributeAccessIssue]


def decision(
    tool: AnyTool, arguments: Mapping[str, Any] | None = None, mode: str = "ask", *, name: str = "", **rules: Any
) -> Decision:
    approved, hooked = rules.pop("approved", ()), rules.pop("hooked", None)
    return decide(
        tool, name or tool.spec.name, arguments or {}, check_mode(mode), Permissions(**rules), approved, hooked
    )


# ---------------------------------------------------------------- the order


@pytest.mark.parametrize(
    ("tool", "mode", "rules", "expected"),
    [
        (HARMLESS, "ask", {}, "allow"),
        (HARMLESS, "none", {}, "allow"),
        (SHELL_TOOL, "ask", {}, "ask"),
        (SHELL_TOOL, "all", {}, "allow"),
        (SHELL_TOOL, "none", {}, "refuse"),
        (SHELL_TOOL, "ask", {"allow": ["shell"]}, "allow"),
        (SHELL_TOOL, "none", {"allow": ["shell"]}, "allow"),
        (SHELL_TOOL, "all", {"deny": ["shell"]}, "deny"),
        (SHELL_TOOL, "all", {"deny": ["sh*"], "allow": ["shell"]}, "deny"),
        (SHELL_TOOL, "ask", {"deny": ["shell"], "approved": {"shell", EVERYTHING}}, "deny"),
        (SHELL_TOOL, "ask", {"deny": ["shell"], "hooked": "allow"}, "deny"),
        (SHELL_TOOL, "ask", {"allow": ["shell"], "ask": ["shell"]}, "allow"),
        (HARMLESS, "ask", {"ask": ["look"]}, "ask"),
        (HARMLESS, "all", {"ask": ["look"]}, "allow"),
        (HARMLESS, "none", {"ask": ["look"]}, "refuse"),
        (HARMLESS, "ask", {"ask": ["look"], "approved": {"look"}}, "allow"),
        (SHELL_TOOL, "ask", {"approved": {"shell"}}, "allow"),
        (SHELL_TOOL, "none", {"approved": {"shell"}}, "allow"),
        (SHELL_TOOL, "ask", {"approved": {"other"}}, "ask"),
        (SHELL_TOOL, "ask", {"approved": {EVERYTHING}}, "allow"),
        (SHELL_TOOL, "ask", {"approved": {"", "mcp:x", "a:b"}}, "ask"),
        (SHELL_TOOL, "ask", {"hooked": "allow"}, "allow"),
        (SHELL_TOOL, "none", {"hooked": "allow"}, "allow"),
        (HARMLESS, "ask", {"hooked": "ask"}, "ask"),
        (HARMLESS, "all", {"hooked": "ask"}, "allow"),
        (HARMLESS, "none", {"hooked": "ask"}, "refuse"),
        (SHELL_TOOL, "ask", {"hooked": "ask", "allow": ["shell"], "approved": {"shell"}}, "ask"),
        (SHELL_TOOL, "ask", {"hooked": "ask", "approved": {EVERYTHING}}, "allow"),
    ],
)
def test_p11_deny_then_allow_then_ask_then_the_tool_then_the_mode(
    tool: AnyTool, mode: str, rules: dict[str, Any], expected: str
) -> None:
    assert decision(tool, mode=mode, **rules) == expected


@pytest.mark.parametrize("mode", ["ask", "all", "none"])
@pytest.mark.parametrize("hooked", [None, "ask", "allow"])
@pytest.mark.parametrize("approved", [(), ("shell",), (EVERYTHING,)])
def test_p11_deny_beats_everything(mode: Mode, hooked: Any, approved: tuple[str, ...]) -> None:
    rules = Permissions(deny=["shell:cmd=rm*"], allow=["*"])
    assert decide(SHELL_TOOL, "shell", {"cmd": "rm -rf ~"}, mode, rules, approved, hooked) == "deny"


def test_p11_rules_of_agent_and_team_hold_together() -> None:
    both = Permissions(deny=["a"], ask=["x"]) | Permissions(deny=["b"], allow=["c"])
    assert both == Permissions(deny=["a", "b"], allow=["c"], ask=["x"])


# ---------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("pattern", "arguments", "fits"),
    [
        ("shell:cmd=ls*", {"cmd": "ls"}, True),
        ("shell:cmd=ls*", {"cmd": "ls -la /tmp"}, True),
        ("shell:cmd=ls*", {"cmd": "als"}, False),
        ("shell:cmd=ls*", {"cmd": "LS"}, False),
        ("shell:cmd=ls*", {"command": "ls"}, False),
        ("shell:cmd=ls*", {}, False),
        ("shell:cmd=", {"cmd": ""}, True),
        ("shell:cmd=", {"cmd": "ls"}, False),
        ("shell:cmd=l?", {"cmd": "ls"}, True),
        ("shell:cmd=[lm]s", {"cmd": "ms"}, True),
        ("shell:cmd=[a-m]s", {"cmd": "ls"}, True),
        ("shell:cmd=[!l]s", {"cmd": "ls"}, False),
        ("shell:cmd=a[*]b", {"cmd": "a*b"}, True),
        ("shell:cmd=a[*]b", {"cmd": "axb"}, False),
        ("shell:cmd=a[b", {"cmd": "a[b"}, True),
        ("shell:cmd=ls*:cwd=/tmp", {"cmd": "ls", "cwd": "/tmp"}, True),
        ("shell:cmd=ls*:cwd=/tmp", {"cmd": "ls", "cwd": "/"}, False),
        ("shell:url=https://example.org:8080/*", {"url": "https://example.org:8080/a"}, True),
        ("shell:n=5", {"n": 5}, True),
        ("shell:n=5", {"n": "5"}, True),
        ("shell:n=true", {"n": True}, True),
        ("shell:n=null", {"n": None}, True),
        ('shell:n=["a", "b"]', {"n": ["a", "b"]}, False),  # brackets are a class: write [[]
        ('shell:n=[[]"a", *]', {"n": ["a", "b"]}, True),
        ('shell:n={"a": *}', {"n": {"a": 1}}, True),
        ("s*", {}, True),
        ("*", {}, True),
        ("shel", {}, False),
    ],
)
def test_p11_a_pattern_fits(pattern: str, arguments: dict[str, Any], fits: bool) -> None:
    assert (decision(SHELL_TOOL, arguments, allow=[pattern]) == "allow") is fits
    assert (decision(SHELL_TOOL, arguments, deny=[pattern]) == "deny") is fits


HOSTILE = [
    "ls; rm -rf ~",
    "ls && rm x",
    "ls & rm x",
    "ls || rm x",
    "ls | sh",
    "ls `rm x`",
    "ls $(rm x)",
    "ls $HOME",
    "ls <(rm x)",
    "ls > /etc/passwd",
    "ls < /etc/shadow",
    "ls\nrm x",
    "ls\rrm x",
    "ls\x00rm x",
    "ls {a,.}./x",
    "ls \\\nrm",
    "ls ..",
    "ls ../x",
    "ls /tmp/../etc",
    "ls /tmp/..",
    'ls ."".',
    "ls .'.'/x",
    "ls --file=../x",
    "ls -I../x",
    "ls /tmp/.*/etc",
    "ls /tmp/.?/etc",
    "ls /tmp/.[.]/etc",
    "ls /%2e%2E/etc",
    "ls /..%2fetc",
]


@pytest.mark.parametrize("command", HOSTILE)
def test_p11_what_is_allowed_by_a_wildcard_reaches_no_further_than_a_word(command: str) -> None:
    assert decision(SHELL_TOOL, {"cmd": command}, allow=["shell:cmd=ls*"]) == "ask"
    assert decision(SHELL_TOOL, {"cmd": command}, approved={"shell:cmd=ls*"}) == "ask"
    assert decision(SHELL_TOOL, {"cmd": command}, approved={"shell:cmd=ls?*"}) == "ask"
    assert decision(SHELL_TOOL, {"cmd": command}, deny=["shell:cmd=ls*"]) == "deny"


@pytest.mark.parametrize(
    ("pattern", "value", "allowed"),
    [
        ("shell:cmd=ls*", "ls a..b", True),
        ("shell:cmd=go test*", "go test ./...", True),
        ("shell:cmd=ls *", "ls 'my files' --sort=size .config", True),
        ("shell:cmd=ls | wc -l", "ls | wc -l", True),
        ("shell:cmd=ls * | wc -l", "ls x | wc -l", True),
        ("shell:cmd=ls * | wc -l", "ls x | rm | wc -l", False),
        ("shell:cmd=*;*", "a;b", True),
        ("shell:cmd=*;*", "a;b;c", False),
        ("shell:cmd=cat ../data/*", "cat ../data/a", True),
        ("shell:cmd=cat ../data/*", "cat ../data/../../etc/passwd", False),
        ("shell:cmd=cat /tmp/?*", "cat /tmp/..", False),
        ("shell:cmd=cat /tmp/.*", "cat /tmp/..", False),
        ("shell:cmd=cat /tmp/[.]*", "cat /tmp/..", False),
        ("shell:cmd=ls[!x]rm", "ls;rm", False),
        ("shell:cmd=ls[;]rm", "ls;rm", True),
        ("shell:cmd=ls[ -~]rm", "ls;rm", False),
    ],
)
def test_p11_what_the_pattern_spells_out_is_the_users_own_word(pattern: str, value: str, allowed: bool) -> None:
    assert (decision(SHELL_TOOL, {"cmd": value}, allow=[pattern]) == "allow") is allowed


def test_p11_a_denied_default_cannot_be_had_by_leaving_the_argument_out() -> None:
    def delete(path: str = "/") -> None: ...

    tool = cast("Tool", FunctionTool(delete, approve=True))
    for arguments in ({}, {"path": "/"}):
        assert decide(tool, "delete", arguments, "all", Permissions(deny=["delete:path=/"])) == "deny"
    assert decide(tool, "delete", {"path": "/tmp"}, "all", Permissions(deny=["delete:path=/"])) == "allow"


@pytest.mark.parametrize(
    "arguments",
    [{"force": "yes"}, {"force": 1}, {"force": "TRUE"}, {"count": 1000.0}, {"count": "1_000"}, {"count": " 1000 "}],
)
def test_p11_a_denied_value_cannot_be_had_by_another_spelling_of_it(arguments: dict[str, Any]) -> None:
    def remove(path: str, force: bool = False, count: int = 1) -> None: ...

    tool = cast("Tool", FunctionTool(remove))
    rules = Permissions(deny=["remove:force=true", "remove:count=1000"])
    assert decide(tool, "remove", {"path": "x"} | arguments, "all", rules) == "deny"
    assert decide(tool, "remove", {"path": "x", "force": "no", "count": "1"}, "all", rules) == "allow"


def test_p11_a_whole_number_is_denied_also_with_a_point() -> None:
    assert decision(AnyTool("pay"), {"amount": 1000.0}, deny=["pay:amount=1000"]) == "deny"


# ---------------------------------------------------------------- servers


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("mcp:github:create_issue", True),
        ("mcp:git*:create_*", True),
        ("mcp:*:*", True),
        ("mcp:gitlab:create_issue", False),
        ("mcp:github:delete_*", False),
        ("mcp:github:gh_create_issue", False),
        ("gh_create_issue", True),
        ("create_issue", False),
        ("mcp:github:create_issue:title=Bug*", True),
        ("mcp:github:create_issue:title=Idea*", False),
    ],
)
def test_p11_a_tool_of_a_server(pattern: str, fits: bool) -> None:
    assert (decision(ISSUES, {"title": "Bug 1"}, allow=[pattern]) == "allow") is fits


def test_p11_a_rule_about_servers_allows_no_tool_of_this_machine_but_may_deny_it() -> None:
    local = AnyTool("shell", toolset="shell")
    assert decision(local, allow=["mcp:*:*"]) == "ask"
    assert decision(local, deny=["mcp:shell:shell"]) == "deny"
    assert decision(AnyTool("shell"), deny=["mcp:*:*"]) == "ask"


def test_p11_a_name_that_collided_is_denied_by_its_own_name_too() -> None:
    tool = AnyTool("search", toolset="ledger")
    assert decision(tool, name="ledger_search", deny=["search"]) == "deny"
    assert decision(tool, name="ledger_search", allow=["search"]) == "ask"
    assert decision(tool, name="ledger_search", allow=["ledger_search"]) == "allow"


@pytest.mark.parametrize(
    ("trust", "read_only", "expected"), [(True, True, "allow"), (False, True, "ask"), (True, False, "ask")]
)
def test_p11_a_servers_own_hint_counts_only_with_trust(trust: bool, read_only: bool, expected: str) -> None:
    import mcp_types

    hints = mcp_types.ToolAnnotations(read_only_hint=read_only)
    told = mcp_types.Tool(name="find", input_schema={"type": "object"}, annotations=hints)
    tool = MCPTool(MCPToolset("server", name="github", prefix="gh", trust=trust), cast("Any", None), told)
    assert decide(tool, "gh_find", {}, "ask") == expected
    assert decide(tool, "gh_find", {}, "ask", Permissions(allow=["mcp:github:find"])) == "allow"


# ---------------------------------------------------------------- patterns that are none, and names that are patterns


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        " ",
        ":",
        "mcp:github",
        "mcp:",
        "mcp::tool",
        "shell:",
        "shell:ls",
        "shell:=x",
        "shell:1a=x",
        "shell=ls",
        5,
        None,
    ],
)
@pytest.mark.parametrize("kind", ["deny", "allow", "ask"])
def test_p11_a_pattern_that_is_none_is_refused_with_what_is_meant(pattern: Any, kind: str) -> None:
    with pytest.raises(ConfigError, match="write 'tool', 'tool:argument=value' or 'mcp:server:tool'"):
        Permissions(**{kind: [pattern]})


@pytest.mark.parametrize("given", ["shell", b"shell", 5, None])
def test_p11_rules_are_lists(given: Any) -> None:
    with pytest.raises(ConfigError, match="is a list of patterns"):
        Permissions(deny=given)


def test_a_tool_named_mcp_can_be_spoken_of() -> None:
    assert decision(AnyTool("mcp"), {"a": "b"}, allow=["mcp:a=b"]) == "allow"
    assert decision(AnyTool("mcp"), allow=["mcp"]) == "allow"


@given(st.text(alphabet="ab*?[]:=!-x", min_size=1), st.text(alphabet="ab*?[]:=!-x", min_size=1))
def test_p11_an_approved_name_is_that_name_alone(name: str, other: str) -> None:
    approved = exactly(name)
    assert decision(AnyTool(name), approved={approved}) == "allow"
    assert (decision(AnyTool(other), approved={approved}) == "allow") is (name == other)


@given(st.text(), st.text())
def test_p11_a_quoted_argument_is_that_text_alone(value: str, other: str) -> None:
    pattern = read(with_argument("shell", "cmd", quoted(value)))
    assert pattern.grants(SHELL_TOOL, "shell", {"cmd": value})
    assert pattern.grants(SHELL_TOOL, "shell", {"cmd": other}) is (value == other)


@given(st.text(alphabet="ab/. ;*"), st.text(alphabet="ab/. ;*"))
def test_a_careful_match_is_a_match(glob: str, text: str) -> None:
    import re

    expected = re.fullmatch("".join(".*" if c == "*" else re.escape(c) for c in glob), text, re.DOTALL) is not None
    assert Glob(glob).matches(text) is expected
    assert expected or not Glob(glob).matches(text, SHELL)


@pytest.mark.parametrize("unsafe", [frozenset[str](), SHELL])
def test_a_hostile_text_is_matched_in_time(unsafe: frozenset[str]) -> None:
    begun = time.monotonic()
    assert not Glob("*a" * 20 + "b").matches("a" * 20_000, unsafe)
    assert not Glob("*.*.*.*x").matches("." * 20_000, unsafe)
    assert time.monotonic() - begun < 2


# ---------------------------------------------------------------- suggestions


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        (SHELL_TOOL, {"cmd": "ls -la"}, "shell:cmd=ls *"),
        (SHELL_TOOL, {"cmd": "ls"}, "shell:cmd=ls"),
        (SHELL_TOOL, {"cmd": "/bin/ls x"}, "shell:cmd=/bin/ls *"),
        (SHELL_TOOL, {"cmd": "git status -s"}, "shell:cmd=git status *"),
        (SHELL_TOOL, {"cmd": "git -C /x push"}, "shell:cmd=git -C /x push"),
        (SHELL_TOOL, {"cmd": "ls; rm -rf ~"}, "shell:cmd=ls; rm -rf ~"),
        (SHELL_TOOL, {"cmd": "ls *.py"}, "shell:cmd=ls *"),
        (SHELL_TOOL, {"cmd": "ls /tmp/../etc"}, "shell:cmd=ls /tmp/../etc"),
        (SHELL_TOOL, {"cmd": "python3.11 x.py"}, "shell:cmd=python3.11 x.py"),
        (SHELL_TOOL, {"cmd": "sudo ls"}, "shell:cmd=sudo ls"),
        (SHELL_TOOL, {"cmd": "rm [a]"}, "shell:cmd=rm [[]a]"),
        (SHELL_TOOL, {"cmd": "A=b ls"}, "shell:cmd=A=b ls"),
        (SHELL_TOOL, {"cmd": "x y:z=1"}, "shell:cmd=x *"),
        (SHELL_TOOL, {"cmd": "rm y:z=1"}, "shell:cmd=rm y[:]z=1"),
        (SHELL_TOOL, {"cmd": "a\nb"}, ""),
        (SHELL_TOOL, {"cmd": "x \u202e"}, ""),
        (SHELL_TOOL, {"cmd": "x" * 201}, ""),
        (SHELL_TOOL, {"cmd": ""}, ""),
        (SHELL_TOOL, {"cmd": ["ls"]}, ""),
        (AnyTool("fetch"), {"url": "https://example.org/a?b=c"}, "fetch:url=https://example.org/*"),
        (AnyTool("fetch"), {"url": "https://user:pw@example.org/a"}, "fetch:url=https://user:pw@example.org/a"),
        (AnyTool("fetch"), {"url": "https://[bad"}, "fetch:url=https://[[]bad"),
        (AnyTool("write"), {"path": "notes/a.txt", "content": "x\n" * 1000}, "write:path=notes/a.txt"),
        (AnyTool("delete"), {"id": 5}, "delete"),
        (AnyTool("od*d"), {}, "od[*]d"),
        (ISSUES, {"title": "x"}, "mcp:github:create_issue"),
    ],
)
def test_p11_a_suggestion_covers_its_call_and_no_more_than_is_meant(
    tool: AnyTool, arguments: dict[str, Any], expected: str
) -> None:
    assert suggested(tool, tool.spec.name, arguments) == expected
    if expected:
        assert decision(tool, arguments, approved={expected}) == "allow"


@pytest.mark.parametrize(
    ("approved", "other"),
    [("ps 1", "psql -c x"), ("git diff a", "git difftool -x y"), ("git log", "git logs"), ("ls -l", "lsof -i")],
)
def test_p11_a_suggestion_is_for_no_program_of_a_longer_name(approved: str, other: str) -> None:
    pattern = suggested(SHELL_TOOL, "shell", {"cmd": approved})
    assert decision(SHELL_TOOL, {"cmd": approved}, approved={pattern}) == "allow"
    assert decision(SHELL_TOOL, {"cmd": other}, approved={pattern}) == "ask"


def test_p11_nothing_is_suggested_for_code() -> None:
    tool = AnyTool("run_python")
    tool.code_argument = "code"  # pyright: ignore[reportAttributeAccessIssue]
    assert suggested(tool, "run_python", {"code": "1 + 1"}) == ""


@given(st.dictionaries(st.sampled_from(["cmd", "url", "path", "x"]), st.text() | st.integers(), max_size=3))
def test_p11_every_suggestion_covers_its_call(arguments: dict[str, Any]) -> None:
    pattern = suggested(SHELL_TOOL, "shell", arguments)
    assert not pattern or decision(SHELL_TOOL, arguments, approved={pattern}) == "allow"


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ConfigError, match="choose"):
        check_mode("always")
