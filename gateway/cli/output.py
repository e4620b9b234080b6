"""How results are shown: JSON for programs, aligned text for people.

What people, models and servers wrote must not act on the terminal of whoever looks at it.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

import click
import orjson

from gateway.cli.visible import escaped, visible

MAX_CELL = 60
"""Longest cell of a table; the whole value is in `--json`."""

EMPTY: tuple[Any, ...] = (None, "", [], {})
"""Columns with nothing else are left out, and so are such words of an entry."""

PAGING = {"next_cursor", "next_after_seq", "head", "gap"}
"""Members of a page beside its list."""


def show(result: Any, *, as_json: bool) -> None:
    """Print a result on stdout."""
    if as_json:
        click.echo(json_text(result, option=orjson.OPT_INDENT_2))
        return
    rows = _rows(result)
    if rows is not None:
        _table(rows)
        cursor = result.get("next_cursor") if isinstance(result, Mapping) else None
        if cursor:
            click.echo(f"more: --cursor {cursor}", err=True)
    elif isinstance(result, Mapping):
        _pairs(result)
    else:
        click.echo(_cell(result))


def json_text(value: Any, *, option: int = 0) -> str:
    """The value as JSON that is safe to look at; it reads back equal."""
    return escaped(orjson.dumps(value, option=option).decode())


def say(text: str) -> None:
    """Print what a model wrote: unchanged into a pipe, visible on a terminal."""
    click.echo(visible(text) if sys.stdout.isatty() else text)


def fitted(text: str, indent: int, stream: TextIO) -> str:
    """The text broken between words for a terminal, its further lines indented; else unchanged."""
    if not stream.isatty() or "\n" in text:
        return text
    width = max(shutil.get_terminal_size().columns, indent + 20)
    margin = " " * indent
    lines = textwrap.fill(
        text,
        width,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines[indent:]


def _rows(result: Any) -> Sequence[Any] | None:
    """The list a result is about: itself, or its only list member."""
    if isinstance(result, list):
        return result
    if isinstance(result, Mapping):
        lists = [value for value in result.values() if isinstance(value, list)]
        scalars = [key for key, value in result.items() if not isinstance(value, list)]
        if len(lists) == 1 and set(scalars) <= PAGING:
            return list(lists[0])
    return None


def _table(rows: Sequence[Any]) -> None:
    if not rows:
        click.echo("nothing", err=True)
        return
    if not isinstance(rows[0], Mapping):
        for row in rows:
            click.echo(_cell(row))
        return
    names = [name for name in rows[0] if any(row.get(name) not in EMPTY for row in rows)]
    cells = [names, *([_short(row.get(name), name) for name in names] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(names))]
    if (
        sys.stdout.isatty()
        and sum(widths) + 2 * len(widths) - 2 > shutil.get_terminal_size().columns
    ):
        for row in rows:
            _pairs({name: row.get(name) for name in names if row.get(name) not in EMPTY})
            click.echo()
        return
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def _pairs(value: Mapping[str, Any], indent: str = "") -> None:
    value = {visible(name): item for name, item in value.items()}
    width = max((len(name) for name in value), default=0)
    for name, item in value.items():
        if isinstance(item, Mapping) and item:
            click.echo(f"{indent}{name}")
            _pairs(item, indent + "  ")
        elif _is_block(item):
            click.echo(f"{indent}{name}")
            for entry in item:
                _entry(entry, indent + "  ")
        else:
            lead = f"{indent}{name.ljust(width)}  "
            click.echo((lead + fitted(_cell(item, name), len(lead), sys.stdout)).rstrip())


def _entry(entry: Mapping[str, Any], indent: str) -> None:
    """One of several: its words on a line, or more where a terminal is narrow; then its blocks."""
    blocks = {name: item for name, item in entry.items() if _is_block(item)}
    words = "  ".join(
        f"{name}={_short(item, name)}"
        for name, item in entry.items()
        if name not in blocks and item not in EMPTY
    )
    click.echo(f"{indent}- {fitted(words, len(indent) + 2, sys.stdout)}")
    _pairs(blocks, indent + "  ")


def _is_block(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _short(value: Any, name: str) -> str:
    text = _cell(value, name).replace("\n", " ")
    return text if len(text) <= MAX_CELL else f"{text[: MAX_CELL - 1]}…"


def _cell(value: Any, name: str = "") -> str:
    if value is None:
        return ""
    if isinstance(value, int) and (name == "at" or name.endswith("_at")):
        return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return visible(value).replace("\t", " ")
    if isinstance(value, (int, float)):
        return str(value)
    return json_text(value)
