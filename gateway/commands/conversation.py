"""Commands about the conversation they are said in.

Those that change it are answered in its order; what they write, the end of their turn writes.
"""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from gateway.commands.command import Asked, Command, Subject
from gateway.conversations.reading import FROM_THE_TOP
from gateway.core.errors import InvalidInput
from gateway.identity.principal import Scope
from gateway.running import Gateway
from gateway.sessions.content import words_of
from gateway.turns.commanding import Reply

MAX_UNDONE = 1000
EXPORTED_CHARS = 60_000
"""Longest export as a message: thirty messages of the shortest channel. The rest is by
`sessions.export`, which is made for programs."""


async def new(gateway: Gateway, asked: Asked) -> Reply:
    change = await gateway.conversations.saving.new(asked.principal, asked.session_key, asked.args)
    if not change.result:
        return Reply("This conversation is as good as new: it has no messages yet.", change.ops)
    kept = f"The one before is kept: /load {change.result} goes on with it."
    return Reply(f"This is a new conversation. {kept}", change.ops)


async def save(gateway: Gateway, asked: Asked) -> Reply:
    name = _needed(asked, "/save needs a name: /save <name>")
    change = await gateway.conversations.saving.save(asked.principal, asked.session_key, name)
    return Reply(f"Saved as {name!r}, with {_messages(change.result)}.", change.ops)


async def load(gateway: Gateway, asked: Asked) -> Reply:
    name = _needed(asked, "/load needs the beginning of a label: /load <label>; /list shows them")
    change = await gateway.conversations.saving.load(asked.principal, asked.session_key, name)
    chosen = change.result
    return Reply(f"This is {chosen.label!r}, with {_messages(chosen.messages)}.", change.ops)


async def list_(gateway: Gateway, asked: Asked) -> Reply:
    here = await gateway.conversations.reading.session(asked.principal, asked.session_key)
    kept = await gateway.conversations.saving.kept(asked.principal, asked.session_key)
    now = _line(here.session.label or "(no label)", here.session.last_active_at, here.entries)
    lines = [f"* {now}, this one"]
    for each in kept:
        saved = ", saved" if each.snapshot else ""
        lines.append(f"- {_line(each.label, each.at, each.messages)}{saved}")
    return Reply("\n".join(lines))


async def label(gateway: Gateway, asked: Asked) -> Reply:
    await gateway.conversations.lifecycle.label(asked.principal, asked.session_key, asked.args)
    if not asked.args:
        return Reply("This conversation has no label now.")
    return Reply(f"This conversation is called {asked.args!r} now.")


async def undo(gateway: Gateway, asked: Asked) -> Reply:
    count = _count(asked.args)
    branching = gateway.conversations.branching
    change = await branching.undone(asked.principal, asked.session_key, count)
    undone = change.result
    if not undone.removed:
        return Reply("There is nothing to take back.")
    turns = "The last turn is" if undone.turns == 1 else f"The last {undone.turns} turns are"
    return Reply(f"{turns} taken back; {_messages(undone.remaining)} left.", change.ops)


async def fork(gateway: Gateway, asked: Asked) -> Reply:
    name = asked.args or f"copy of {asked.turn_id[-6:]}"
    change = await gateway.conversations.saving.save(asked.principal, asked.session_key, name)
    return Reply(f"Copied with {_messages(change.result)}: /load {name} goes on there.", change.ops)


async def compact(gateway: Gateway, asked: Asked) -> Reply:
    raise NotImplementedError("intake makes a summary's turn of it")


async def stop(gateway: Gateway, asked: Asked) -> Reply:
    stopped = await gateway.conversations.asking.stop(asked.principal, asked.session_key)
    return Reply("Stopping it." if stopped else "Nothing is under way here.")


async def context(gateway: Gateway, asked: Asked) -> Reply:
    use = await gateway.conversations.compacting.context(asked.principal, asked.session_key)
    return Reply(
        f"The model sees {_messages(use.messages)} with {use.characters} characters, about "
        f"{use.used} tokens."
    )


async def export(gateway: Gateway, asked: Asked) -> Reply:
    reading = gateway.conversations.reading
    below, parts, chars = FROM_THE_TOP, list[str](), 0
    while page := await reading.history(
        asked.principal, asked.session_key, before=below, limit=100
    ):
        for row in page:
            below = row.position
            text = _told(row.body)
            chars += len(text)
            if chars > EXPORTED_CHARS:
                parts.append("(earlier messages are left out: sessions.export has all)")
                return Reply("\n\n".join(reversed(parts)))
            if text:
                parts.append(text)
    return Reply("\n\n".join(reversed(parts)) or "This conversation has no messages yet.")


def _told(body: str | None) -> str:
    """One message as Markdown; nothing for what no person reads, such as the result of a tool."""
    if body is None:
        return "**deleted**"
    role = orjson.loads(body).get("role")
    words = "".join(getattr(part, "text", "") for part in words_of(body) or ())
    heading = {"user": "You", "assistant": "Agent", "summary": "Summary"}.get(role, "")
    return f"**{heading}:** {words}" if heading and words else ""


def _needed(asked: Asked, said: str) -> str:
    if not asked.args:
        raise InvalidInput(said)
    return asked.args


def _count(args: str) -> int:
    if not args:
        return 1
    if not args.isascii() or not args.isdigit() or not 1 <= int(args) <= MAX_UNDONE:
        raise InvalidInput(f"/undo takes a number from 1 to {MAX_UNDONE}, got {args[:20]!r}")
    return int(args)


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"


def _line(label: str, at_ms: int, messages: int) -> str:
    at = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{label}: {_messages(messages)}, {at}"


_ABOUT = Subject.CONVERSATION

COMMANDS = (
    Command("new", "[label]", "begin a new conversation here; the old one is kept", _ABOUT, new),
    Command("list", "", "list the conversations kept here", _ABOUT, list_, Scope.READ),
    Command("load", "<label>", "go on with a kept conversation", _ABOUT, load),
    Command("save", "<name>", "keep a copy of this conversation under a name", _ABOUT, save),
    Command("fork", "[name]", "keep a copy, to go on with it another way", _ABOUT, fork),
    Command("label", "[label]", "call this conversation something", _ABOUT, label,
            twin="sessions.label"),
    Command("undo", "[turns]", "take the last turns back", _ABOUT, undo, twin="sessions.rewind"),
    Command("compact", "", "summarise the older part for the model", _ABOUT, compact,
            summary=True, twin="sessions.compact"),
    Command("stop", "", "stop what runs in this conversation", _ABOUT, stop, immediate=True,
            twin="turns.cancel"),
    Command("context", "", "show how much the model sees of it", _ABOUT, context, Scope.READ, True,
            twin="sessions.context"),
    Command("export", "", "show this conversation as Markdown", _ABOUT, export, Scope.READ,
            twin="sessions.export"),
)  # fmt: skip
