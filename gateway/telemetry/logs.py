"""Logs: named events with fields, one line each, secrets removed last.

Lines go to stderr, made for reading on a terminal, JSON otherwise. Whatever comes from outside is
escaped, so that nobody can forge a line, a field or a colour: a line of the log begins where the
previous one ended, and lines of a traceback are indented.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any, TextIO

import structlog

from gateway.telemetry.redaction import Redactor

# Control characters (C0 but for the tab, C1 with its one-byte escape sequences), what some readers
# take for the end of a line, what turns the direction of text, and halves of characters.
_UNSAFE = re.compile(
    r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_NEEDS_QUOTES = re.compile(r"[\s\"=]|^$")


def configure(
    *, level: str = "info", secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Set up logging for the process, that of libraries included; later calls replace earlier."""
    out = stream if stream is not None else sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        Redactor(secrets),
    ]
    render: Any = people_line if out.isatty() else json_line
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = _Handler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries speak up when something is wrong; their chatter is not ours to show.
    root.setLevel(max(number, logging.WARNING))
    logging.captureWarnings(capture=True)


def people_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """For a reader: time, level, name, fields; a traceback below, each line of it indented."""
    time = str(event.pop("timestamp", ""))[11:19]
    level = str(event.pop("level", "info"))
    name = str(event.pop("event", ""))
    trace = str(event.pop("exception", ""))
    fields = " ".join(f"{_escape(key)}={_field(value)}" for key, value in event.items())
    line = f"{time} {level:<7} {_escape(name)} {fields}".rstrip()
    return "\n    ".join((line, *map(_escape, trace.split("\n")))) if trace else line


def json_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """For a machine; text stays legible, what could act on a terminal is escaped."""
    text = json.dumps(event, ensure_ascii=False, default=str)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _field(value: Any) -> str:
    text = _escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    if isinstance(value, str) and _NEEDS_QUOTES.search(text):
        return '"' + text.replace('"', '\\"') + '"'
    return text


def _escape(text: str) -> str:
    return _UNSAFE.sub(lambda match: _ESCAPES.get(match[0]) or f"\\u{ord(match[0]):04x}", text)


_ESCAPES = {"\n": "\\n", "\r": "\\r"}


class _Handler(logging.StreamHandler[TextIO]):
    """Says that a line could not be made, and not what was to be in it."""

    def handleError(self, record: logging.LogRecord) -> None:  # the standard's name
        structlog.get_logger(__name__).error("log.unwritable", logger=record.name)
