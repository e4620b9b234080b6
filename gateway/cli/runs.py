"""`turngate runs`: the namespace's methods, and what is easier with files and a live view."""

from __future__ import annotations

import sys
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

import click
import orjson

from gateway.cli import methods
from gateway.cli.options import rpc_command
from gateway.cli.output import json_text, show
from gateway.cli.target import connected
from gateway.cli.visible import visible
from gateway.client import Client
from gateway.core.errors import InvalidInput
from gateway.wire.methods.run_document import PIECE_CHARS, WHOLE_BYTES

WAIT_MS = 20_000
"""How long one question for more output waits."""


def command(name: str) -> click.Group:
    """The group with its own `follow`, `export` and `import`."""
    group = methods.command(name)
    run_id = click.Argument(["run_id"])
    group.add_command(
        rpc_command("follow", _follow, run_id, help="Print the live output of a run until it ends.")
    )
    group.add_command(rpc_command("export", _export, run_id, help="Print a run as a document."))
    file = click.Argument(["file"], type=click.Path(path_type=Path, allow_dash=True))
    group.add_command(
        rpc_command("import", _import, file, help="Keep the run of a document; - is stdin.")
    )
    return group


async def _follow(run_id: str, url: str | None, home: str | None, as_json: bool) -> None:
    after, is_open = 0, False
    async with connected(url, home) as client:
        while True:
            asked = {"run_id": run_id, "after": after, "wait_ms": WAIT_MS}
            page = await client.call("runs.stream", asked)
            for piece in page["pieces"]:
                is_open = _print(piece, as_json=as_json)
            after = page["after"]
            if page["ended"] and not page["pieces"]:
                break
    if is_open:
        click.echo()
    click.echo(f"turngate: {run_id} is {page['status']}", err=True)


def _print(piece: dict[str, Any], *, as_json: bool) -> bool:
    """Print a piece; whether its line is still open."""
    body = piece["body"]
    if as_json or not (isinstance(body, dict) and isinstance(body.get("text"), str)):
        click.echo(json_text(piece if as_json else body))
        return False
    shown = visible(body["text"])
    click.echo(shown, nl=False)
    return not shown.endswith("\n")


async def _export(run_id: str, url: str | None, home: str | None, as_json: bool) -> None:
    async with connected(url, home) as client:
        found = await client.call("runs.export", {"run_id": run_id})
        document = found["document"]
        if document is None:
            texts = [
                (await client.call("runs.piece", {"piece": piece}))["text"]
                for piece in found["pieces"]
            ]
            document = orjson.loads("".join(texts))
    option = 0 if as_json else orjson.OPT_INDENT_2
    click.echo(json_text(document, option=option))


async def _import(file: Path, url: str | None, home: str | None, as_json: bool) -> None:
    document = _document(file)
    text = orjson.dumps(document)
    given: dict[str, Any] = {"document": document}
    async with connected(url, home) as client:
        if len(text) > WHOLE_BYTES:
            given = {"pieces": await _sent(client, text.decode())}
        found = await client.call("runs.import", given, again=False)
    show(found, as_json=as_json)


async def _sent(client: Client, text: str) -> list[str]:
    """The names of the pieces of a document that is too long for a frame."""
    cuts = [text[at : at + PIECE_CHARS] for at in range(0, len(text), PIECE_CHARS)]
    return [(await client.call("runs.keep_piece", {"text": cut}))["piece"] for cut in cuts]


def _document(file: Path) -> Any:
    try:
        text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return orjson.loads(text.removeprefix(BOM_UTF8))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{file} is no document of a run: {error}") from error
