"""What a file may hold: docker-agent's keys as pydantic models, of which the JSON schema for editors is made.

`checking` holds data against `Document`; the building modules read its instances. A key that docker-agent knows and
nbagent does not use stands in its model's `ELSEWHERE`: it loads with a warning. Only this module and `checking` import
pydantic, and both are imported when a file is loaded.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)


def _as_text(value: Any) -> Any:
    """Numbers and booleans where a text belongs, as in ``args: [--port, 8080]``."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Text = Annotated[
    str, BeforeValidator(_as_text), WithJsonSchema({"anyOf": [{"type": "string"}, {"type": ["number", "boolean"]}]})
]
"""A text that may be written as a number."""
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


def _with_ignored(schema: dict[str, Any], model: type[Any]) -> None:
    """In an editor, what is ignored is known all the same."""
    words = {"description": "docker-agent's; nbagent loads it with a warning and does not use it."}
    schema.setdefault("properties", {}).update({name: dict(words) for name in sorted(model.ELSEWHERE)})


class Shape(BaseModel):
    """A mapping with known keys."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        frozen=True,
        protected_namespaces=(),
        json_schema_extra=_with_ignored,
    )
    ELSEWHERE: ClassVar[frozenset[str]] = frozenset()
    """Keys of docker-agent's that are not used here."""

    @classmethod
    def keys(cls) -> list[str]:
        """The keys that are used here."""
        return [field.alias or name for name, field in cls.model_fields.items()]

    @model_validator(mode="before")
    @classmethod
    def _without_unknown(cls, data: Any, info: ValidationInfo) -> Any:
        """Tell the context of keys that are not used here, and leave them out."""
        if not isinstance(data, dict) or info.context is None:
            return cast("Any", data)
        given = cast("dict[str, Any]", data)
        known = set(cls.keys())
        for key in given:
            if key not in known:
                info.context(cls, given, key)
        return {key: value for key, value in given.items() if key in known}


class Provider(Shape):
    """A service that models come from, under a name of its own."""

    ELSEWHERE = frozenset({"unload_api", "track_usage", "task_budget", "auth", "compaction_model"})
    provider: str = Field(
        default="openai", description="openai, anthropic, google, amazon-bedrock, groq, mistral, ollama …"
    )
    api_type: Literal["openai_chatcompletions", "openai_responses"] | None = None
    base_url: str | None = Field(
        default=None, description="Where it is reached; ${env.NAME} is filled in when it is used."
    )
    token_key: str | None = Field(default=None, description="The NAME of the environment variable that holds the key.")
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: Positive | None = None
    thinking_budget: int | str | None = None
    headers: dict[str, Text] = Field(default_factory=dict[str, str], description="Sent with each request.")
    provider_opts: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])


class Model(Shape):
    """A language model, under a name of its own."""

    ELSEWHERE = frozenset(
        {"description", "track_usage", "auth"}
        | {"bypass_models_gateway", "task_budget", "routing", "first_available", "title_model", "compaction_model"}
        | {"compaction_threshold", "capabilities", "cost"}
    )
    provider: str | None = Field(default=None, description="A provider, or a name below providers.")
    model: str | None = Field(default=None, description="Its name there, such as gpt-5-mini.")
    max_tokens: Positive | None = Field(default=None, description="Of one answer.")
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    parallel_tool_calls: bool | None = None
    thinking_budget: int | str | None = Field(default=None, description="Tokens, or none, minimal, low, medium, high …")
    base_url: str | None = Field(
        default=None, description="Where it is reached; ${env.NAME} is filled in when it is used."
    )
    token_key: str | None = Field(default=None, description="The NAME of the environment variable that holds the key.")
    provider_opts: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])


class Remote(Shape):
    """An MCP server that is reached by its address."""

    ELSEWHERE = frozenset({"oauth"})
    url: str
    transport_type: Literal["streamable", "streamable-http", "http", "sse"] = "streamable"
    headers: dict[str, Text] = Field(default_factory=dict[str, str])


class MCPServer(Shape):
    """An MCP server: a command, an address, or one of Docker's catalogue."""

    ELSEWHERE = frozenset({"config", "version", "defer", "lifecycle"})
    command: str | None = None
    args: list[Text] = Field(default_factory=list[str])
    env: dict[str, Text] = Field(default_factory=dict[str, str], description="${env.NAME} is filled in when it starts.")
    remote: Remote | None = None
    ref: str | None = Field(default=None, description="docker:NAME, or a name below mcps.")
    tools: list[str] | None = Field(default=None, description="The only tools to offer.")
    instruction: str = Field(default="", description="What the agent is told about these tools.")
    name: str | None = None
    prefix: str | None = Field(
        default=None, description="nbagent's own: put before the tools' names, with _ between, so that none collide."
    )
    working_dir: str | None = None
    timeout: Positive | None = Field(default=None, description="Seconds that a call may take.")


class Toolset(MCPServer):
    """A source of tools."""

    ELSEWHERE = MCPServer.ELSEWHERE | frozenset(
        {"toon", "model", "shared", "path", "shell", "post_edit", "api_config", "webhook_config", "rag_config", "url"}
        | {"sudo_askpass", "recall", "safer", "file_types", "allowed_servers", "blocked_servers", "models"}
        | {"ignore_vcs", "headers", "docs", "strategies", "tool", "results"}
    )
    type: str = Field(
        description="mcp, filesystem, shell, fetch, think, todo, user_prompt, background_agents, python …"
    )
    readonly: bool = False
    allow_list: list[str] = Field(default_factory=list[str], description="filesystem: the folder that it may reach.")
    deny_list: list[str] = Field(default_factory=list[str])
    allowed_domains: list[str] = Field(default_factory=list[str])
    blocked_domains: list[str] = Field(default_factory=list[str])
    allow_private_ips: bool = False
    functions: list[str] = Field(default_factory=list[str], description="python: functions as package.module:name.")


class Command(Shape):
    """A prompt with a name, for /name."""

    ELSEWHERE = frozenset({"url", "agent"})
    instruction: str = ""
    description: str = ""


def _as_one(value: Any) -> Any:
    """Commands in a list of mappings, as older files have them."""
    if isinstance(value, list) and all(isinstance(one, dict) for one in cast("list[Any]", value)):
        return {name: command for one in cast("list[dict[str, Any]]", value) for name, command in one.items()}
    return cast("Any", value)


Commands = Annotated[dict[str, str | Command], BeforeValidator(_as_one)]


class HookCommand(Shape):
    """A program that is called at a hook point."""

    ELSEWHERE = frozenset({"model", "prompt", "schema"})
    type: str = Field(description="command")
    name: str | None = None
    command: str | None = None
    args: list[Text] = Field(default_factory=list[str])
    timeout: Positive = 60
    env: dict[str, Text] = Field(default_factory=dict[str, str])
    working_dir: str | None = None
    on_error: Literal["warn", "ignore", "block"] = "warn"


class HookMatcher(Shape):
    """Hooks for certain tools."""

    ELSEWHERE = frozenset({"preempt_yolo"})
    matcher: str = Field(default="", description="A regular expression over names of tools; * for all.")
    hooks: list[HookCommand]


class Hooks(Shape):
    """Programs by hook point."""

    ELSEWHERE = frozenset(
        {"user_steering_messages_submit", "user_followup_submit", "turn_end", "subagent_stop"}
        | {"notification", "on_max_iterations", "on_agent_switch", "on_session_resume", "on_tool_approval_decision"}
        | {"before_compaction", "after_compaction", "tool_response_transform", "worktree_create"}
    )
    pre_tool_use: list[HookMatcher] = Field(default_factory=list[HookMatcher])
    permission_request: list[HookMatcher] = Field(default_factory=list[HookMatcher])
    post_tool_use: list[HookMatcher] = Field(default_factory=list[HookMatcher])
    session_start: list[HookCommand] = Field(default_factory=list[HookCommand])
    turn_start: list[HookCommand] = Field(default_factory=list[HookCommand], description="Builtins that add context.")
    user_prompt_submit: list[HookCommand] = Field(default_factory=list[HookCommand])
    before_llm_call: list[HookCommand] = Field(default_factory=list[HookCommand])
    after_llm_call: list[HookCommand] = Field(default_factory=list[HookCommand])
    pre_compact: list[HookCommand] = Field(default_factory=list[HookCommand])
    on_user_input: list[HookCommand] = Field(default_factory=list[HookCommand])
    stop: list[HookCommand] = Field(default_factory=list[HookCommand])
    on_error: list[HookCommand] = Field(default_factory=list[HookCommand])
    session_end: list[HookCommand] = Field(default_factory=list[HookCommand])


class Fallback(Shape):
    """What answers when the model fails."""

    models: list[str] = Field(default_factory=list[str])
    retries: Annotated[int, Field(ge=-1)] = Field(default=0, description="Of each model; 0: 2 times, -1: never.")
    cooldown: str | None = Field(default=None, description="How long a model that failed is passed over: 30s, 1m30s.")


class StructuredOutput(Shape):
    """What the final answer has to look like."""

    ELSEWHERE = frozenset({"strict", "mode"})
    name: str
    description: str = ""
    schema_: dict[str, JsonValue] = Field(alias="schema")


class InlineSkill(Shape):
    """A skill that stands in the file itself."""

    ELSEWHERE = frozenset({"context", "model", "allowed_tools", "toolsets"})
    name: str
    description: str
    instructions: str


class Agent(Shape):
    """A model with instructions and tools."""

    ELSEWHERE = frozenset(
        {"name", "harness", "code_mode_tools", "force_handoff", "safety", "redact_secrets", "budgets", "cache"}
        | {"max_consecutive_tool_calls", "max_old_tool_call_tokens", "max_tool_result_tokens", "session_compaction"}
        | {"compaction_threshold", "compaction_model", "add_prompt_files_depth", "add_description_parameter"}
        | {"use_commands", "use_skills", "use_toolsets"}
    )
    model: str | None = Field(default=None, description="A name below models, or provider/model.")
    description: str = ""
    instruction: str = ""
    instruction_file: str | list[str] | None = Field(
        default=None, description="Files beside this one, instead of instruction."
    )
    toolsets: list[Toolset] = Field(default_factory=list[Toolset])
    sub_agents: list[str] = Field(default_factory=list[str])
    handoffs: list[str] = Field(default_factory=list[str])
    commands: Commands = Field(default_factory=dict[str, str | Command])
    welcome_message: str = ""
    readonly: bool = Field(default=False, description="As if each toolset said so.")
    add_date: bool = False
    add_environment_info: bool = False
    add_prompt_files: list[str] = Field(default_factory=list[str])
    max_iterations: Count | None = Field(
        default=None, description="Model calls before the user is asked; 0: never ask."
    )
    num_history_items: Count | None = Field(default=None, description="Messages that the model is sent; 0: all.")
    fallback: Fallback | None = None
    hooks: Hooks | None = None
    structured_output: StructuredOutput | None = None
    skills: bool | list[str | InlineSkill] = False


class Permissions(Shape):
    """Which calls run unasked, which never, and which are asked about."""

    allow: list[str] = Field(default_factory=list[str])
    ask: list[str] = Field(default_factory=list[str])
    deny: list[str] = Field(default_factory=list[str])


class Metadata(Shape):
    """Who made the file, and what for."""

    author: str = ""
    license: str = ""
    readme: str = ""
    description: str = ""
    version: Text = ""
    tags: list[Text] = Field(default_factory=list[str])


class Document(Shape):
    """Agents, and what they share, in docker-agent's words."""

    ELSEWHERE = frozenset({"rag", "commands", "skills", "toolsets", "runtime", "budget", "budgets", "flavors"})
    version: Text = ""
    agents: dict[str, Agent] = Field(min_length=1)
    models: dict[str, Model] = Field(default_factory=dict[str, Model])
    providers: dict[str, Provider] = Field(default_factory=dict[str, Provider])
    mcps: dict[str, MCPServer] = Field(default_factory=dict[str, MCPServer])
    permissions: Permissions | None = None
    metadata: Metadata | None = None
