"""The catalogue as an OpenRPC document: made from the models that validate, so it cannot drift.

`document` is what `rpc.discover` answers. Schemas of shapes used twice stand once, under
`components`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from pydantic.json_schema import models_json_schema

from gateway.core.errors import (
    TABLE,
    Bug,
    Busy,
    Forbidden,
    InvalidInput,
    Row,
    TurngateError,
    Unauthenticated,
)
from gateway.rpc.method import Method
from gateway.wire.jsonrpc import MAX_BATCH

OPENRPC = "1.3.2"
COMMON_ERRORS: tuple[type[TurngateError], ...] = (InvalidInput, Unauthenticated, Forbidden, Bug)
"""What any method may answer."""

_TEMPLATE = "#/components/schemas/{model}"


class Document:
    """The catalogue as seen from outside."""

    def __init__(self, methods: Sequence[Method[Any]], version: str) -> None:
        self._methods = sorted(methods, key=lambda method: method.name)
        self._version = version

    @property
    def names(self) -> list[str]:
        """Every method, sorted."""
        return [method.name for method in self._methods]

    @cached_property
    def document(self) -> dict[str, Any]:
        """The whole document; made when it is first asked for."""
        schemas = Schemas(self._methods)
        return {
            "openrpc": OPENRPC,
            "info": {
                "title": "turngate",
                "version": self._version,
                "description": "JSON-RPC 2.0 over WebSocket at /ws and by POST to /rpc. "
                f"A batch has at most {MAX_BATCH} members.",
                "license": {"name": "MIT"},
            },
            "methods": [_method(method, schemas) for method in self._methods],
            "components": {"schemas": schemas.shared},
        }


class Schemas:
    """The schemas of all parameters and results."""

    def __init__(self, methods: Iterable[Method[Any]]) -> None:
        methods = tuple(methods)
        wanted: dict[Any, None] = {}  # a set in order
        for method in methods:
            wanted[method.params, "validation"] = None
            wanted[method.result, "serialization"] = None
        refs, whole = models_json_schema(list(wanted), ref_template=_TEMPLATE)
        self._refs = refs
        definitions: dict[str, Any] = whole["$defs"]
        self._definitions = definitions
        # Parameters are listed one by one where the method is; nothing refers to their shape.
        listed = {_name(refs[method.params, "validation"]) for method in methods}
        self.shared = {name: definitions[name] for name in sorted(definitions.keys() - listed)}

    def params(self, method: Method[Any]) -> list[dict[str, Any]]:
        """A descriptor for each parameter, required ones first: the order of positional ones."""
        schema = self._definitions[_name(self._refs[method.params, "validation"])]
        required = schema.get("required", [])
        return [
            _descriptor(name, dict(value), required=name in required)
            for name, value in schema.get("properties", {}).items()
        ]

    def result(self, method: Method[Any]) -> dict[str, Any]:
        """The schema of what it answers."""
        return self._refs[method.result, "serialization"]


def _name(reference: dict[str, Any]) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _descriptor(name: str, schema: dict[str, Any], *, required: bool) -> dict[str, Any]:
    schema.pop("title", None)
    description = schema.pop("description", "")
    told = {"description": description} if description else {}
    return {"name": name, **told, "required": required, "schema": schema}


def _method(method: Method[Any], schemas: Schemas) -> dict[str, Any]:
    return {
        "name": method.name,
        "summary": method.summary,
        "paramStructure": "either",
        "params": schemas.params(method),
        "result": {"name": "result", "schema": schemas.result(method)},
        "errors": [_error(error) for error in errors_of(method)],
        "examples": [_example(method)],
        "x-scope": method.scope.value if method.scope is not None else None,
        "x-lasting": method.lasting,
        "x-batch": method.in_batch,
    }


def errors_of(method: Method[Any]) -> list[type[TurngateError]]:
    """What a method may answer instead of its result, in the order of the codes."""
    named = {*COMMON_ERRORS, *method.errors}
    if method.scope is None and Unauthenticated not in method.errors:
        named -= {Unauthenticated, Forbidden}
    if method.lasting or not method.always:
        named.add(Busy)
    return sorted(named, key=lambda error: (describe_class(error).code, error.__name__))


def describe_class(error: type[TurngateError]) -> Row:
    """The table row of an error's class."""
    return next(TABLE[cls] for cls in error.__mro__ if cls in TABLE)


def _error(error: type[TurngateError]) -> dict[str, Any]:
    row = describe_class(error)
    said = (error.__doc__ or "").split("\n")[0]
    return {
        "code": row.code,
        "message": said,
        "data": {"kind": row.kind, "retryable": row.retryable},
    }


def _example(method: Method[Any]) -> dict[str, Any]:
    params = method.example.params.items()
    return {
        "name": method.name,
        "params": [{"name": name, "value": value} for name, value in params],
        "result": {"name": "result", "value": method.example.result},
    }
