"""A method's parameters on a command line: options made from the shape that checks them."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin

import click
import orjson
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.wire.methods.base import Params


def parameters_of(shape: type[Params], *, first: str = "") -> list[click.Parameter]:
    """One option a field; an argument for the field `first`, else for the first required text."""
    parameters: list[click.Parameter] = []
    for field, info in shape.model_fields.items():
        wire_name = info.alias or field
        kind, multiple, convert = _kind(info.annotation)
        required = info.is_required()
        text = required and not first and kind is click.STRING and not multiple
        if field == first or text:
            first = first or field
            parameters.append(
                click.Argument([field], type=kind, required=required, callback=convert)
            )
            continue
        parameters.append(
            click.Option(
                [f"--{wire_name.replace('_', '-')}", field],
                type=kind,
                multiple=multiple,
                required=required,
                callback=convert,
                help=_help(info),
            )
        )
    return parameters


def named(shape: type[Params], given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, under the names of the wire."""
    return {
        shape.model_fields[field].alias or field: value
        for field, value in given.items()
        if value is not None and value != ()
    }


Convert = Callable[[click.Context, click.Parameter, Any], Any] | None


def _kind(annotation: Any) -> tuple[click.ParamType[Any], bool, Convert]:
    """How a field is typed on a command line: its type, whether it repeats, its conversion."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        (first, *_) = [each for each in get_args(annotation) if each is not type(None)]
        return _kind(first)
    if origin is Literal:
        return click.Choice([str(each) for each in get_args(annotation)]), False, None
    if origin in (list, tuple, set, frozenset):
        inner, _, convert = _kind(get_args(annotation)[0])
        if convert is None:
            return inner, True, lambda _context, _parameter, value: list(value) or None
    if annotation is bool:
        return click.BOOL, False, None
    if annotation is int:
        return click.INT, False, None
    if annotation is float:
        return click.FLOAT, False, None
    if isinstance(annotation, type) and issubclass(annotation, str):
        return click.STRING, False, None
    if origin is not None and hasattr(annotation, "__metadata__"):
        return _kind(get_args(annotation)[0])
    return click.STRING, False, _json


def _json(_context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    if value is None:
        return None
    try:
        return orjson.loads(value)
    except ValueError as error:
        raise click.BadParameter(f"expected JSON: {error}", param=parameter) from error


def _help(info: FieldInfo) -> str:
    text = info.description or ""
    default = info.default
    if info.is_required() or default in (None, "", (), [], {}) or isinstance(default, BaseModel):
        return text
    shown = ", ".join(default) if isinstance(default, list | tuple) else str(default).lower()
    return f"{text} [default: {shown}]".strip()
