"""Commands made from the RPC catalogue: one group a namespace, one command a method.

Parameters become options, the first required text an argument; what a method can do, the command
line can do the day it exists.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin

import click
import orjson
from pydantic.fields import FieldInfo

from gateway.cli.output import show
from gateway.cli.target import connected, speaks_rpc
from gateway.rpc.catalog import METHODS
from gateway.rpc.method import Method

_NAMESPACES = {"deliveries": ("deliveries", "delivery")}


_LIST_FIRST = ("profiles", "models")
"""Groups that list when nothing else is asked for."""


class _ListFirst(click.Group):
    """`turngate profiles` is `turngate profiles list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def command(name: str) -> click.Group:
    """The group of a namespace."""
    spaces = _NAMESPACES.get(name, (name,))
    kind = _ListFirst if name in _LIST_FIRST else click.Group
    group = kind(name, help=f"Methods of {name} on a running gateway.")
    for method in METHODS:
        space, _, verb = method.name.partition(".")
        if space in spaces and verb and not method.lasting and verb not in group.commands:
            group.add_command(_command(verb, method))
    return group


def _command(verb: str, method: Method[Any]) -> click.Command:
    parameters: list[click.Parameter] = []
    for field, info in method.params.model_fields.items():
        wire_name = info.alias or field
        kind, multiple, convert = _kind(info.annotation)
        is_first = info.is_required() and not any(
            isinstance(parameter, click.Argument) for parameter in parameters
        )
        if is_first and kind is click.STRING and not multiple:
            parameters.append(click.Argument([field], callback=convert))
            continue
        parameters.append(
            click.Option(
                [f"--{wire_name.replace('_', '-')}", field],
                type=kind,
                multiple=multiple,
                required=info.is_required(),
                callback=convert,
                help=_help(info),
            )
        )

    @speaks_rpc
    async def run(url: str | None, home: str | None, as_json: bool, **given: Any) -> None:
        params = {
            method.params.model_fields[field].alias or field: value
            for field, value in given.items()
            if value is not None and value != ()
        }
        async with connected(url, home) as client:
            show(await client.call(method.name, params, again=False), as_json=as_json)

    flags = list(getattr(run, "__click_params__", ()))
    return click.Command(
        verb, params=[*parameters, *reversed(flags)], callback=run, help=method.summary
    )


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
    if not info.is_required() and info.default not in (None, "", ()):
        return f"{text} [default: {info.default}]".strip()
    return text
