"""What a function's signature and docstring say to a model: a name, a description, a JSON schema.

pydantic reads the annotations (dataclasses, enums, Literal, Optional, Annotated with Field) and later checks and
converts the arguments, so that a parameter annotated with a dataclass receives an instance. docstring_parser reads
the descriptions of the parameters in numpy, Google or Sphinx style.
"""

from __future__ import annotations

import contextlib
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from typing import Any, NotRequired

from nbagent.errors import ConfigError, ToolError


def named(function: Callable[..., Any]) -> str:
    """The function's name; a partial has that of its function, an object that of its class."""
    inner = getattr(function, "func", function)
    name: str = getattr(inner, "__name__", type(inner).__name__)
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)  # "<lambda>" is no name that a model's provider takes


def _docstring(function: Callable[..., Any]) -> str:
    inner = getattr(function, "func", function)
    if hasattr(inner, "__name__"):
        return inspect.getdoc(inner) or ""
    return inspect.getdoc(type(inner).__call__) or inspect.getdoc(inner) or ""


def described(function: Callable[..., Any]) -> str:
    """The description in the docstring, without its sections."""
    from docstring_parser import parse

    text = _docstring(function)
    parsed = parse(text)
    return (parsed.description or ("" if parsed.meta else text)).strip()


def _parameter_descriptions(function: Callable[..., Any]) -> dict[str, str]:
    from docstring_parser import parse

    found: dict[str, str] = {}
    for parameter in parse(_docstring(function)).params:
        for name in parameter.arg_name.split(","):  # numpy style: "first, second : int"
            found[name.strip().lstrip("*")] = (parameter.description or "").strip()
    return found


def _annotations(function: Callable[..., Any], localns: Mapping[str, Any] | None) -> dict[str, Any]:
    inner = getattr(function, "func", function)
    if not hasattr(inner, "__name__"):
        inner = type(inner).__call__
    known: dict[str, Any] = {**(localns or {}), **_enclosed(inspect.unwrap(inner))}
    return typing.get_type_hints(inner, localns=known or None, include_extras=True)


def _enclosed(function: Callable[..., Any]) -> dict[str, Any]:
    """The variables of the enclosing functions that `function` uses and that have a value by now."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    cells = getattr(function, "__closure__", None) or ()
    enclosed: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=True):
        with contextlib.suppress(ValueError):  # a cell that is still empty
            enclosed[name] = cell.cell_contents
    return enclosed


class Parameters:
    """The parameters of a function, as a model gives them: by name, as JSON.

    Parameters
    ----------
    name
        The tool's, for messages.
    function
        The function.
    localns
        Names beside its globals in which its annotations may be found.

    Raises
    ------
    ConfigError
        No model can give them.
    NameError
        An annotation names something that does not exist (yet).
    """

    def __init__(self, name: str, function: Callable[..., Any], localns: Mapping[str, Any] | None = None) -> None:
        from pydantic import PydanticSchemaGenerationError, PydanticUserError

        self._name = name
        self._signature = inspect.signature(function)
        self._defaults: dict[str, Any] = {}
        self._open = False
        hints = _annotations(function, localns)
        descriptions = _parameter_descriptions(function)
        fields: dict[str, Any] = {}
        for parameter in self._signature.parameters.values():
            if parameter.kind is parameter.VAR_POSITIONAL:
                raise ConfigError(f"tool {name}: a model gives arguments by name and cannot fill *{parameter.name}")
            if parameter.kind is parameter.VAR_KEYWORD:
                self._open = True
                continue
            annotation = hints.get(parameter.name, Any)
            fields[parameter.name] = self._field(parameter, annotation, descriptions.get(parameter.name, ""))
        try:
            self._build(fields)
        except (PydanticSchemaGenerationError, PydanticUserError) as error:
            raise ConfigError(f"tool {name}: a parameter's type has no JSON schema: {error}") from error

    def _field(self, parameter: inspect.Parameter, annotation: Any, description: str) -> Any:
        from pydantic import Field
        from pydantic.fields import FieldInfo

        default = parameter.default
        if isinstance(default, FieldInfo):  # count: int = Field(3, ge=1)
            required = default.is_required()
            if not required:
                self._defaults[parameter.name] = default.get_default(call_default_factory=True, validated_data={})
            description = default.description or description
            annotation = typing.Annotated[annotation, *default.metadata] if default.metadata else annotation
        else:
            required = default is parameter.empty
        has_own = any(isinstance(m, FieldInfo) and m.description for m in getattr(annotation, "__metadata__", ()))
        if description and not has_own:
            annotation = typing.Annotated[annotation, Field(description=description)]
        return annotation if required else NotRequired[annotation]

    def _build(self, fields: dict[str, Any]) -> None:
        from pydantic import ConfigDict, TypeAdapter, with_config
        from pydantic.json_schema import GenerateJsonSchema
        from typing_extensions import TypedDict

        class Untitled(GenerateJsonSchema):
            def field_title_should_be_set(self, schema: Any) -> bool:
                return False

        extra = "allow" if self._open else "forbid"
        made = with_config(ConfigDict(extra=extra))(TypedDict("Arguments", fields))  # type: ignore[operator]
        self._adapter: TypeAdapter[Any] = TypeAdapter(made)
        schema = self._adapter.json_schema(schema_generator=Untitled)
        schema.pop("title", None)
        schema.setdefault("properties", {})
        self._show_defaults(schema["properties"])
        self.schema: dict[str, Any] = schema

    def _show_defaults(self, properties: dict[str, Any]) -> None:
        from pydantic_core import PydanticSerializationError, to_jsonable_python

        for name, parameter in self._signature.parameters.items():
            default = self._defaults.get(name, parameter.default)
            if name in properties and default is not parameter.empty and "default" not in properties[name]:
                with contextlib.suppress(PydanticSerializationError):  # what JSON cannot show is still the default
                    properties[name]["default"] = to_jsonable_python(default)

    def converted(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The arguments after their conversion, as JSON's types; as they are, where they do not fit."""
        from pydantic import ValidationError

        try:
            return self._adapter.dump_python(
                self._adapter.validate_python(dict(arguments)), mode="json", warnings=False
            )
        except (ValidationError, ValueError):
            return arguments

    def bind(self, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The checked and converted arguments, by position and by name.

        Raises
        ------
        ToolError
            They do not fit; the message names each one that does not.
        """
        from pydantic import ValidationError

        try:
            values = {**self._defaults, **self._adapter.validate_python(dict(arguments))}
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors(include_url=False)
            )
            raise ToolError(f"invalid arguments for {self._name}: {problems}") from None
        positional: list[Any] = []
        for parameter in self._signature.parameters.values():
            if parameter.kind is parameter.POSITIONAL_ONLY and parameter.name in values:
                positional.append(values.pop(parameter.name))
        return positional, values
