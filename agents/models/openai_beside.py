"""What a server sends beside text and calls, collected to be sent back unread. Pure.

Thinking models want their thoughts back with the calls they led to: in the open
(`reasoning_content`, `reasoning_details`), signed (`extra_content` of Gemini, `thinking_blocks` of
Anthropic) or encrypted. No piece of it is shown or logged. Pieces are joined as servers cut them:
text is a continuation, and a signature, an id or a number stands for itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from agents.base.messages import Opaque

PLAIN = frozenset({"role", "content", "refusal", "tool_calls", "function_call", "function"})
"""Members that are read, beside `index`, `id` and `type` of a call."""
_KEPT = re.compile(
    r"reason|think|thought|signature|encrypted|opaque|^extra_content$|^provider_specific_fields$",
    re.IGNORECASE,
)
_WHOLE = re.compile(r"signature|encrypted|opaque|(?:^|_)id$", re.IGNORECASE)
"""Strings of these names come in one piece."""
_TEXTS = ("text", "summary", "thinking", "data")
"""Members of a detail that may come in several pieces."""
_TELL_APART = ("index", "type", "id", "signature")
"""Details that differ in one of these are two."""

OWN_ID = re.compile(r"functions\.[\w-]+:\d+")
"""Ids that Kimi K2 reads as text: its template puts them before each call."""

MAX_BYTES = 512 * 1024
"""As much is kept of one answer: 64 000 tokens of thought, the most that DeepSeek and Anthropic
allow, with room for letters of several bytes."""
REPEATED_CHARS = 16
"""From this length on, a piece that begins with all before it is all of it so far (MiniMax)."""


class _Text:
    """A string that grows; joined only when it is asked for."""

    def __init__(self, text: str) -> None:
        self._pieces = [text]
        self._chars = len(text)

    def add(self, text: str) -> None:
        if len(text) >= max(self._chars, REPEATED_CHARS) and text.startswith(self.whole()):
            self._pieces, self._chars = [], 0
        self._pieces.append(text)
        self._chars += len(text)

    def whole(self) -> str:
        return "".join(self._pieces)


class Beside:
    """Members of a message, or of a call, that are neither text nor call."""

    def __init__(self) -> None:
        self._members: dict[str, Any] = {}

    def __bool__(self) -> bool:
        return bool(self._members)

    def take(self, said: dict[str, Any]) -> int:
        """Add the members of a piece; returns how many characters they hold."""
        chars = 0
        for name, value in said.items():
            if name in PLAIN or not isinstance(value, str | list | dict) or not _KEPT.search(name):
                continue
            chars += _chars(value)
            self._members[name] = _joined(name, self._members.get(name), value)
        return chars

    def members(self, *, with_empty: bool) -> dict[str, Any]:
        """The members as JSON; those that hold nothing only `with_empty`."""
        whole = {name: _plain(value) for name, value in self._members.items()}
        return {name: value for name, value in whole.items() if value or with_empty}


def own_id(call_id: str) -> dict[str, Any]:
    """The id of a call as a member, where the model that made it wants it back."""
    return {"id": call_id} if OWN_ID.fullmatch(call_id) else {}


def read(opaque: Opaque | None, *, profile: str, model: str) -> dict[str, Any]:
    """The members to send back: empty for another model or profile than they came from."""
    if opaque is None or (opaque.profile, opaque.model) != (profile, model):
        return {}
    found = json.loads(opaque.members)
    return found if isinstance(found, dict) else {}


def as_text(members: dict[str, Any]) -> str:
    """JSON that any store takes; halves of surrogate pairs stay as escapes."""
    text = json.dumps(members, ensure_ascii=False)
    return text if _encodes(text) else json.dumps(members)


def _joined(name: str, before: Any, value: Any) -> Any:
    match before, value:
        case _Text(), str():
            before.add(value)
            return before
        case _, str():
            return value or before or "" if _WHOLE.search(name) else _Text(value)
        case list(), list():
            return _with_details(before, value)
        case _, list():
            return _with_details([], value)
        case dict(), dict():
            return _overlaid(before, value)
        case _:
            return _overlaid({}, value)


def _with_details(details: list[Any], pieces: Iterable[Any]) -> list[Any]:
    """The details with one more list of pieces, of which no two belong to the same detail."""
    taken: list[int] = []
    for piece in pieces:
        found = _detail_for(piece, details, taken) if isinstance(piece, dict) else None
        if found is None:
            found = len(details)
            details.append(_begun(piece))
        else:
            _continue(details[found], piece)
        taken.append(found)
    return details


def _detail_for(piece: dict[str, Any], details: list[Any], taken: list[int]) -> int | None:
    """The place of the detail this goes on with: under its index, or without one the last."""
    indexed = piece.get("index") is not None
    places = range(len(details)) if indexed else range(max(len(details) - 1, 0), len(details))
    for place in reversed(places):
        detail = details[place]
        if place in taken or not isinstance(detail, dict):
            continue
        if not indexed and (detail.get("index") is not None or _closed(detail, piece)):
            continue
        if indexed and detail.get("index") is None:
            continue
        if all(_agree(detail.get(name), piece.get(name)) for name in _TELL_APART):
            return place
    return None


def _closed(detail: dict[str, Any], piece: dict[str, Any]) -> bool:
    """Whether a detail without an index is whole: signed, or encrypted."""
    return bool(detail.get("signature")) or "data" in detail or "data" in piece


def _agree(one: Any, other: Any) -> bool:
    return one in (None, "") or other in (None, "") or one == other


def _begun(piece: Any) -> Any:
    if not isinstance(piece, dict):
        return piece
    return {
        name: _Text(value) if name in _TEXTS and isinstance(value, str) else value
        for name, value in piece.items()
    }


def _continue(detail: dict[str, Any], piece: dict[str, Any]) -> None:
    for name, value in piece.items():
        before = detail.get(name)
        if isinstance(before, _Text) and isinstance(value, str):
            before.add(value)
        elif name in _TEXTS and isinstance(value, str):
            detail[name] = _Text(value)
        elif value is not None or name not in detail:
            detail[name] = value


def _overlaid(before: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """The later of two objects over the earlier. Gemini flags the pieces that are thoughts, which
    is not true of the whole."""
    whole = dict(before)
    for name, member in value.items():
        if isinstance(member, dict):
            inner = whole.get(name)
            whole[name] = _overlaid(inner if isinstance(inner, dict) else {}, member)
        elif name != "thought" and (member not in (None, "") or name not in whole):
            whole[name] = member
    return whole


def _plain(value: Any) -> Any:
    match value:
        case _Text():
            return value.whole()
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {name: _plain(member) for name, member in value.items()}
        case _:
            return value


def _chars(value: Any) -> int:
    return sum(map(len, _strings(value)))


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _strings(item)
        case dict():
            for member in value.values():
                yield from _strings(member)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
