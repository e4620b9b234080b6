"""Reader of the body of an answer: bytes in, JSON values out. Sans I/O.

The form is read from the bytes, because content types lie: server-sent events, one JSON value a
line, or one document, with any line ends and with or without a byte order mark. Values come out as
soon as they are complete; what they mean is decided by `openai_answer`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

import orjson

BOM = b"\xef\xbb\xbf"
DONE = (b"[DONE]", b'"[DONE]"')


class Event(NamedTuple):
    """One value; `name` is that of a server-sent event, mostly empty."""

    name: str
    value: object


class NotAnEvent(ValueError):
    """What a server sent as an event is no JSON; the message says what it begins with."""


class WebPage(NotAnEvent):
    """A web page came."""


class EventReader:
    """Reads one body. `done` once the body said that nothing more comes."""

    def __init__(self) -> None:
        self.done = False
        self._rest: list[bytes] = []
        self._begun = False
        self._name = ""
        self._data: list[bytes] = []
        self._document: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[Event]:
        """The values that are complete with this; raises `NotAnEvent` behind those before it.

        One at a time, so that `done` and an error come after what stands before them in `data`.
        """
        if not self._begun:
            data = b"".join((*self._rest, data))
            if len(data) < len(BOM) and BOM.startswith(data):
                self._rest = [data]
                return
            self._begun, self._rest, data = True, [], data.removeprefix(BOM)
        *lines, last = data.split(b"\n")
        if not lines:
            self._rest.append(last)
            return
        lines[0], self._rest = b"".join((*self._rest, lines[0])), [last]
        events: list[Event] = []
        for line in lines:
            if line:  # half of them end an event that is out already
                self._take(line, events)
            elif self._data or self._document or self._name:
                self._line(line, events)
            yield from events
            events.clear()

    def finish(self) -> list[Event]:
        """What the end of the body completes; what it cuts is left out."""
        events: list[Event] = []
        try:
            self._take(b"".join(self._rest), events)
            self._take(b"", events)
            if self._document:
                events.append(Event("", _json(b"\n".join(self._document))))
        except WebPage:
            raise
        except NotAnEvent:
            if not events and self._document:
                raise  # a document is whole or nothing
        return events

    def _take(self, line: bytes, events: list[Event]) -> None:
        parts = line.removesuffix(b"\r").split(b"\r") if b"\r" in line else (line,)
        for part in parts:  # no JSON holds a bare one
            if not self.done:
                self._line(part, events)

    def _line(self, line: bytes, events: list[Event]) -> None:
        if line.startswith(b"data:"):
            self._data_line(line, events)
        elif self._document:
            self._document.append(line)
        elif not line:
            self._dispatch(events)
        elif line.startswith(b"event:"):
            self._name = line[6:].strip().decode("utf-8", "replace")
        elif line.lstrip().startswith((b"{", b"[", b'"')):
            self._bare(line, events)
        elif line.lstrip().startswith(b"<"):
            raise WebPage("a web page came; the base URL is probably wrong")
        # Everything else is a comment or a field that says nothing here.

    def _data_line(self, line: bytes, events: list[Event]) -> None:
        if self._document:  # a document followed by the end that belongs to events
            document, self._document = b"\n".join(self._document), []
            events.append(Event("", _json(document)))
        while line.startswith(b"data:"):  # some proxies put theirs before the one that is there
            line = line[5:].lstrip(b" \t")
        if line.strip() in DONE:
            self._dispatch(events)
            self.done = True
        elif line and not self._data:
            try:
                # Out at once: some leave the empty line between events away.
                events.append(Event(self._name, _json(line)))
                self._name = ""
            except NotAnEvent:
                self._data.append(line)
        elif line:
            self._data.append(line)

    def _bare(self, line: bytes, events: list[Event]) -> None:
        """JSON without `data:`: a value a line, or the first line of a document."""
        try:
            events.append(Event("", _json(line)))
        except NotAnEvent:
            self._document.append(line)

    def _dispatch(self, events: list[Event]) -> None:
        data, self._data = self._data, []
        name, self._name = self._name, ""
        if not data:
            return
        try:
            events.append(Event(name, _json(b"\n".join(data))))
        except NotAnEvent:
            if name == "error":
                events.append(Event(name, b"\n".join(data).decode("utf-8", "replace")))
            else:
                raise


def _json(data: bytes) -> object:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        # Half of a surrogate pair and NaN, which orjson refuses and servers send.
        return json.loads(data)
    except (ValueError, RecursionError):
        raise NotAnEvent(f"no JSON: {data[:40].decode('ascii', 'backslashreplace')!r}") from None
