"""Structured names of conversations and places, each with one injective text form.

A text form is segments joined by `:`, each segment percent-encoded; the number of segments tells
the forms apart, so no peer, however named, can forge another's key. `parse_*` accepts exactly what
`str()` produces.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, unquote_to_bytes

from gateway.core.errors import InvalidInput
from gateway.core.ids import AgentId

MAX_KEY_CHARS = 2048
"""Longest text form accepted; ten times what any channel's ids need."""

DEFAULT_ACCOUNT = "default"
UNKNOWN_CHANNEL = "unknown"


class SessionScope(StrEnum):
    """How far one conversation reaches; the first four are the dm scopes an agent may declare."""

    MAIN = "main"
    PER_PEER = "per-peer"
    PER_CHANNEL_PEER = "per-channel-peer"
    PER_ACCOUNT_CHANNEL_PEER = "per-account-channel-peer"
    GROUP = "group"
    THREAD = "thread"


DM_SCOPES = (
    SessionScope.MAIN,
    SessionScope.PER_PEER,
    SessionScope.PER_CHANNEL_PEER,
    SessionScope.PER_ACCOUNT_CHANNEL_PEER,
)

# Which fields each scope has, in the order of its text form. The literal words are kept from the
# keys users of the predecessor know (`agent:main:discord:direct:42`).
_FORMS: dict[SessionScope, tuple[str, ...]] = {
    SessionScope.MAIN: ("=agent", "agent", "=main"),
    SessionScope.PER_PEER: ("=agent", "agent", "=direct", "peer"),
    SessionScope.PER_CHANNEL_PEER: ("=agent", "agent", "channel", "=direct", "peer"),
    SessionScope.PER_ACCOUNT_CHANNEL_PEER: (
        "=agent",
        "agent",
        "channel",
        "account",
        "=direct",
        "peer",
    ),
    SessionScope.GROUP: ("=agent", "agent", "channel", "account", "=group", "guild", "group"),
    SessionScope.THREAD: (
        "=agent",
        "agent",
        "channel",
        "account",
        "=thread",
        "guild",
        "group",
        "thread",
    ),
}
_BY_LENGTH = {len(form): scope for scope, form in _FORMS.items()}
_FIELDS = ("channel", "account", "guild", "group", "thread", "peer")


@dataclass(frozen=True, slots=True)
class SessionKey:
    """The name of one conversation with one agent.

    Only the fields of its scope are set; the rest are empty. Raises `InvalidInput` otherwise.
    """

    scope: SessionScope
    agent: AgentId
    channel: str = ""
    account: str = ""
    guild: str = ""
    group: str = ""
    thread: str = ""
    peer: str = ""

    def __post_init__(self) -> None:
        form = _FORMS[self.scope]
        extra = [name for name in _FIELDS if name not in form and getattr(self, name)]
        if extra:
            raise InvalidInput(f"a {self.scope} session key has no {', '.join(extra)}")

    def __str__(self) -> str:
        return ":".join(
            word[1:] if word.startswith("=") else _escape(getattr(self, word))
            for word in _FORMS[self.scope]
        )


def parse_session_key(text: str) -> SessionKey:
    """The key whose `str()` is `text`; raises `InvalidInput` for any other text."""
    segments = _split(text, "session key")
    scope = _BY_LENGTH.get(len(segments))
    if scope is None:
        raise InvalidInput(f"{text!r} is not a session key: it has {len(segments)} segments")
    fields: dict[str, str] = {}
    for word, segment in zip(_FORMS[scope], segments, strict=True):
        if word.startswith("="):
            if segment != word[1:]:
                raise InvalidInput(
                    f"{text!r} is not a session key: expected {word[1:]!r}, got {segment!r}"
                )
        else:
            fields[word] = _unescape(segment, text)
    agent = AgentId(fields.pop("agent"))
    return SessionKey(scope, agent, **fields)


@dataclass(frozen=True, slots=True)
class RouteKey:
    """Where a message comes from. `group` is empty in a direct conversation."""

    channel: str = UNKNOWN_CHANNEL
    account: str = DEFAULT_ACCOUNT
    guild: str = ""
    group: str = ""
    thread: str = ""
    peer: str = ""

    def __str__(self) -> str:
        fields = (self.channel, self.account, self.guild, self.group, self.thread, self.peer)
        return ":".join(map(_escape, fields))

    def destination(self) -> Destination:
        """Where an answer to this place goes: the group it was said in, else the peer."""
        return Destination(self.channel, self.account, self.group or self.peer, self.thread)


def parse_route_key(text: str) -> RouteKey:
    """The key whose `str()` is `text`; raises `InvalidInput` for any other text."""
    return RouteKey(*_fields(text, 6, "route key"))


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a delivery goes; deliveries to one destination keep their order."""

    channel: str
    account: str
    target: str
    thread: str = ""

    def __str__(self) -> str:
        return ":".join(map(_escape, (self.channel, self.account, self.target, self.thread)))


def parse_destination(text: str) -> Destination:
    """The destination whose `str()` is `text`; raises `InvalidInput` for any other text."""
    return Destination(*_fields(text, 4, "destination"))


def _fields(text: str, count: int, what: str) -> list[str]:
    segments = _split(text, what)
    if len(segments) != count:
        raise InvalidInput(f"{text!r} is not a {what}: expected {count} segments")
    return [_unescape(segment, text) for segment in segments]


def _split(text: str, what: str) -> list[str]:
    if len(text) > MAX_KEY_CHARS:
        raise InvalidInput(f"a {what} has at most {MAX_KEY_CHARS} characters, got {len(text)}")
    return text.split(":")


def _escape(value: str) -> str:
    # Lone surrogates cannot be UTF-8; `surrogatepass` keeps the encoding total and injective.
    return quote(value, safe="@+", errors="surrogatepass")


def _unescape(segment: str, whole: str) -> str:
    try:
        value = unquote_to_bytes(segment).decode("utf-8", errors="surrogatepass")
    except (UnicodeDecodeError, UnicodeEncodeError):
        raise InvalidInput(f"{whole!r} holds a segment that is not UTF-8: {segment!r}") from None
    if _escape(value) != segment:
        raise InvalidInput(f"{whole!r} holds a segment in another encoding: {segment!r}")
    return value


_NOT_ID = re.compile(r"[^a-z0-9_-]+")


def normalise_agent_id(name: str) -> AgentId:
    """Lower case; letters, digits, `_` and `-`; first a letter or digit; at most 64.

    Every other run of characters becomes one `-`. An empty result stays empty: the caller decides
    whether that means the default agent or an error.
    """
    return AgentId(_NOT_ID.sub("-", name.lower()).strip("-_")[:64].rstrip("-_"))
