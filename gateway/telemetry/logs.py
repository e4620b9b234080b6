"""Logs: named events with fields, one line each, secrets removed last.

Lines go to stderr, coloured for people on a terminal, JSON otherwise. Control characters are
escaped and long values cut, so that nobody can forge a line or repaint a terminal.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, TextIO

import structlog

MAX_VALUE_CHARS = 2048
"""Longest text a field keeps."""

# Shapes of secrets that may come from anywhere: bearer tokens, provider keys, userinfo in URLs.
_PATTERNS = (
    re.compile(r"(?i)(bearer\s+)[\w.~+/=-]{8,}"),
    re.compile(r"()\b(?:sk|pk|rk|gsk|xai)-[\w-]{8,}"),
    re.compile(r"(://[^/\s:@]+:)[^/\s@]+(?=@)"),
    re.compile(r"(?i)([?&](?:token|key|api_key|access_token|secret)=)[^&\s]+"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_MASK = "[redacted]"


class Redactor:
    """Removes secrets by value and by shape, from any nesting; the last step of every line."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # Longest first: a secret that contains another must not leave its tail behind.
        self._secrets = sorted({s for s in secrets if len(s) >= 6}, key=len, reverse=True)

    def __call__(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> Mapping[str, Any]:
        return {str(key): self.clean(value) for key, value in event.items()}

    def clean(self, value: Any) -> Any:
        """The value without secrets and control characters."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.clean(item) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.clean(item) for item in value]
        if value is None or isinstance(value, (bool, int, float)):
            return value
        return self.text(str(value))

    def text(self, text: str) -> str:
        """The text without secrets and control characters, cut to a bound."""
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\g<1>{_MASK}", text)
        if len(text) > MAX_VALUE_CHARS:
            text = f"{text[:MAX_VALUE_CHARS]}… ({len(text)} characters)"
        return text


def configure(
    *, level: str = "info", secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Set up logging for the process; later calls replace earlier ones."""
    out = stream if stream is not None else sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        Redactor(secrets),
    ]
    renderer: Any = (
        _people if out.isatty() else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                renderer,
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries speak up when something is wrong; their chatter is not ours to show.
    root.setLevel(max(number, logging.WARNING))


def _people(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """One line for a reader: time, level, name, fields; a traceback below."""
    time = str(event.pop("timestamp", ""))[11:19]
    level = str(event.pop("level", "info"))
    name = str(event.pop("event", ""))
    trace = event.pop("exception", "")
    fields = " ".join(f"{key}={_escape(str(value))}" for key, value in event.items())
    line = f"{time} {level:<7} {_escape(name)} {fields}".rstrip()
    return f"{line}\n{trace}" if trace else line


def _escape(text: str) -> str:
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
