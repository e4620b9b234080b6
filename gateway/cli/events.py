"""`turngate events`: the log as it is, and as it grows."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import click

from gateway.cli import methods
from gateway.cli.options import rpc_command
from gateway.cli.output import json_text
from gateway.cli.target import connected
from gateway.cli.visible import visible
from gateway.core.suggestions import did_you_mean
from gateway.events.kinds import Kind


def command(name: str) -> click.Group:
    """The namespace's methods, and `follow`."""
    group = methods.command(name)
    group.add_command(
        rpc_command(
            "follow",
            _follow,
            click.Option(["--after-seq"], type=int, help="Begin after this number."),
            click.Option(["--session", "session_key"], help="Of this conversation only."),
            click.Option(["--turn", "turn_id"], help="Of this turn only."),
            click.Option(
                ["--kind", "kinds"], multiple=True, callback=_known, help="Of this kind or family."
            ),
            help="Print events as they happen, over any reconnect, until interrupted.",
        )
    )
    return group


def _known(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    """A kind that is never told would be waited for in silence."""
    known = {*Kind, *(f"{kind.partition('.')[0]}." for kind in Kind)}
    for kind in given:
        if kind not in known:
            every = f"there are {', '.join(sorted(known))}"
            hint = did_you_mean(kind, known, otherwise=every)
            raise click.BadParameter(f"there is no kind or family {kind!r}; {hint}")
    return given


async def _follow(
    after_seq: int | None,
    session_key: str | None,
    turn_id: str | None,
    kinds: tuple[str, ...],
    url: str | None,
    home: str | None,
    as_json: bool,
) -> None:
    wanted: dict[str, Any] = {"session_key": session_key, "turn_id": turn_id}
    wanted = {name: value for name, value in wanted.items() if value}
    if kinds:
        wanted["kinds"] = list(kinds)
    async with connected(url, home) as client:
        with until_nobody_reads(sys.stdout):
            async for item in client.events(after_seq=after_seq, **wanted):
                if as_json:
                    click.echo(json_text(item))
                else:
                    click.echo(_line(item))


@contextmanager
def until_nobody_reads(stream: TextIO | None) -> Iterator[None]:
    """End the block with `BrokenPipeError` once a pipe's reader has left.

    The next event, on which writing would fail, may be hours away.
    """
    if stream is None or not stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode):
        yield
        return
    loop, task, fd = asyncio.get_running_loop(), asyncio.current_task(), stream.fileno()
    assert task is not None
    gone = False

    def leave() -> None:
        nonlocal gone
        gone = True
        loop.remove_reader(fd)
        task.cancel()

    # The writing end of a pipe becomes readable when it breaks, and never before.
    loop.add_reader(fd, leave)
    try:
        yield
    except asyncio.CancelledError:
        if not gone:
            raise
        task.uncancel()
        raise BrokenPipeError(errno.EPIPE, "the reader of the output has gone") from None
    finally:
        loop.remove_reader(fd)


def _line(item: dict[str, Any]) -> str:
    event = item.get("result")
    if event is None:
        return f"{item['seq']:>8}  gap: events up to here are gone"
    words = [f"{item['seq']:>8}", event["kind"], event.get("session_key", "")]
    words += [f"{name}={value}" for name, value in (event.get("data") or {}).items()]
    return visible("  ".join(word for word in words if word)).replace("\n", " ")
