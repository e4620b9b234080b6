"""Commands made from the RPC catalogue: one group a namespace, one command a method.

Parameters become options, the first required text an argument; what a method can do, the command
line can do the day it exists.
"""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.options import Group, rpc_command
from gateway.cli.output import show
from gateway.cli.parameters import named, parameters_of
from gateway.cli.target import connected
from gateway.rpc.catalog import METHODS
from gateway.rpc.method import Method

_NAMESPACES = {"deliveries": ("deliveries", "delivery")}


_LIST_FIRST = ("profiles", "models")
"""Groups that list when nothing else is asked for."""


_INNER = ("runs.piece", "runs.keep_piece")
"""Methods that `runs export` and `runs import` call; nobody types a document."""

_TOLD = {"routes.explain": "text"}
"""Members that tell people all of a result."""


class _ListFirst(Group):
    """`turngate profiles` is `turngate profiles list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def command(name: str) -> click.Group:
    """The group of a namespace."""
    spaces = _NAMESPACES.get(name, (name,))
    kind = _ListFirst if name in _LIST_FIRST else Group
    group = kind(name, help=f"Methods of {name} on a running gateway.")
    for method in METHODS:
        space, _, verb = method.name.partition(".")
        shown = space in spaces and verb and not method.lasting and method.name not in _INNER
        if shown and verb not in group.commands:
            group.add_command(_command(verb, method))
    return group


def _command(verb: str, method: Method[Any]) -> click.Command:
    async def run(url: str | None, home: str | None, as_json: bool, **given: Any) -> None:
        params = named(method.params, given)
        async with connected(url, home) as client:
            found = await client.call(method.name, params, again=False)
        told = "" if as_json else _TOLD.get(method.name, "")
        show(found[told] if told else found, as_json=as_json)

    return rpc_command(verb, run, *parameters_of(method.params), help=method.summary)
