"""How results are shown: JSON for programs, aligned text for people.

What people, models and servers wrote must not act on the reader's terminal.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import orjson

from gateway.cli.visible import escaped, fitted, visible

MAX_CELL = 60
"""Longest cell of a table; the whole value is in `--json`."""

MIN_WORDS = 30
"""Narrowest column of sentences; what is longer goes on in the next line."""

GAP = 2
"""Blanks between columns."""

_ORDER = "state status kind role text revoked_at task session_key last_active_at at"
SOUGHT = {name: place for place, name in enumerate(_ORDER.split())}
"""Which columns people look for, when not all of them fit a terminal."""

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
    cells = {name: [name, *(_short(row.get(name), name) for row in rows)] for name in names}
    widths = {name: max(map(len, column)) for name, column in cells.items()}
    left_out: list[str] = []
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    if room is not None and sum(widths.values()) + GAP * (len(names) - 1) > room:
        shown = _fitting(names, widths, _words(rows, names), room) if len(rows) > 1 else []
        if not shown:
            _blocks(rows, names)
            return
        left_out = [name for name in names if name not in shown]
        names = shown
    for line in zip(*(cells[name] for name in names), strict=True):
        lead = "".join(
            cell.ljust(widths[name] + GAP) for name, cell in zip(names[:-1], line[:-1], strict=True)
        )
        click.echo((lead + fitted(line[-1], len(lead), sys.stdout)).rstrip())
    if left_out:
        said = f"also, in a wider window or with --json: {', '.join(left_out)}"
        click.echo(fitted(said, 0, sys.stderr), err=True)


def _blocks(rows: Sequence[Any], names: Sequence[str]) -> None:
    for number, row in enumerate(rows):
        if number:
            click.echo()
        _pairs({name: row.get(name) for name in names})


def _fitting(names: Sequence[str], widths: Mapping[str, int], words: str, room: int) -> list[str]:
    """The columns that fit, those people look for before others; empty when nearly none does.

    The first says which row it is and stays. `words` comes last, for it may take several lines.
    """
    shown = {names[0]}
    used = widths[names[0]] + (GAP + MIN_WORDS if words else 0)
    for name in sorted(names[1:], key=lambda name: SOUGHT.get(name, len(SOUGHT))):
        if name != words and used + GAP + widths[name] <= room:
            shown.add(name)
            used += GAP + widths[name]
    if used > room or len(shown) == 1:
        return []
    return [name for name in names if name in shown] + ([words] if words else [])


def _words(rows: Sequence[Any], names: Sequence[str]) -> str:
    """The first column of sentences that may be broken; empty when there is none."""
    for name in names[1:]:
        texts = [row.get(name) or "" for row in rows]
        if all(isinstance(text, str) for text in texts) and any(
            len(text) > MIN_WORDS and " " in text for text in texts
        ):
            return name
    return ""


def _pairs(value: Mapping[str, Any], indent: str = "") -> None:
    value = {visible(name): item for name, item in value.items() if item not in (None, "", {})}
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
            shown = fitted(_cell(item, name) or "none", len(lead), sys.stdout)
            click.echo((lead + shown).rstrip())


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
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return visible(", ".join(value))
    return json_text(value)
