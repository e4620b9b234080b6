"""What providers document of the messages they take: for each, why it would refuse a request.

Each rule is a line with its source. They look at the JSON of a request and at nothing of ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

Said = dict[str, Any]
Rule = Callable[[list[Said]], bool]


def _calls(said: Said) -> list[Said]:
    return list(said.get("tool_calls") or [])


def _ids(messages: list[Said]) -> list[str]:
    return [call["id"] for said in messages for call in _calls(said)]


def _pairs(messages: list[Said]) -> Iterator[tuple[Said, Said]]:
    yield from pairwise(messages)


def _answered(messages: list[Said]) -> bool:
    """Every call has exactly one result right behind, and every result its call."""
    waiting: list[str] = []
    for said in messages:
        if said["role"] == "tool":
            if said["tool_call_id"] not in waiting:
                return False
            waiting.remove(said["tool_call_id"])
            continue
        if waiting:
            return False
        waiting = [call["id"] for call in _calls(said)]
    return not waiting


def _texts(messages: list[Said], *roles: str) -> Iterator[str]:
    for said in messages:
        if said["role"] not in roles:
            continue
        content = said.get("content")
        if isinstance(content, str):
            yield content
        for part in content if isinstance(content, list) else []:
            yield part.get("text", "picture")


def _objects(messages: list[Said]) -> bool:
    arguments = (call["function"]["arguments"] for said in messages for call in _calls(said))
    return all(isinstance(json.loads(text), dict) for text in arguments)


def _follows(messages: list[Said], before: str, after: str) -> bool:
    return any((one["role"], other["role"]) == (before, after) for one, other in _pairs(messages))


def _first_spoken(messages: list[Said]) -> str:
    return next((said["role"] for said in messages if said["role"] != "system"), "")


OPENAI: dict[str, Rule] = {
    # platform.openai.com/docs/api-reference/chat/create: tool_calls, tool messages
    "each call has its result right behind": _answered,
    "an id is unique": lambda said: len(_ids(said)) == len(set(_ids(said))),
    "an id has at most 40 characters": lambda said: all(0 < len(i) <= 40 for i in _ids(said)),
    "an answer has text or calls": lambda said: all(
        one.get("content") or _calls(one) for one in said if one["role"] == "assistant"
    ),
    "a name is of 64 letters, digits, - and _": lambda said: all(
        re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", call["function"]["name"])
        for one in said
        for call in _calls(one)
    ),
}
MISTRAL: dict[str, Rule] = {
    # docs.mistral.ai, and what api.mistral.ai says: code 3280, "but must be a-z, A-Z, 0-9"
    "an id is nine letters and digits": lambda said: all(
        re.fullmatch(r"[a-zA-Z0-9]{9}", i) for i in _ids(said)
    ),
    # "Unexpected role 'user' after role 'tool'" (code 3230)
    "no user behind a result": lambda said: not _follows(said, "tool", "user"),
    # "Not the same number of function calls and responses" (code 3230)
    "as many results as calls": _answered,
    # "Expected last role User or Tool (or Assistant with prefix True)" (code 3230)
    "the last is a user or a result": lambda said: said[-1]["role"] in ("user", "tool"),
}
ANTHROPIC: dict[str, Rule] = {
    # docs.claude.com/en/api/messages: roles alternate, results are of the user's role
    "roles alternate": lambda said: (
        not (_follows(said, "user", "user") or _follows(said, "assistant", "assistant"))
    ),
    "the first is a user": lambda said: _first_spoken(said) == "user",
    # "tool_use ids were found without tool_result blocks immediately after"
    "each call has its result right behind": _answered,
    # what it says: String should match pattern '^[a-zA-Z0-9_-]+$'
    "an id is of letters, digits, - and _": lambda said: all(
        re.fullmatch(r"[a-zA-Z0-9_-]+", i) for i in _ids(said)
    ),
    # "text content blocks must contain non-whitespace text"
    "no text is blank": lambda said: all(t.strip() for t in _texts(said, "user", "assistant")),
    # tool_use.input is an object
    "arguments are an object": _objects,
}
GEMINI: dict[str, Rule] = {
    # ai.google.dev/gemini-api/docs/function-calling: a call comes behind a user or a result
    "a call comes behind a user or a result": lambda said: all(
        before["role"] in ("user", "tool") for before, after in _pairs(said) if _calls(after)
    ),
    "as many results as calls": _answered,
    # "Unable to submit request because it must have a text parameter" of empty contents
    "no text is empty": lambda said: all(_texts(said, "user", "assistant")),
    "arguments are an object": _objects,
}
DEEPSEEK: dict[str, Rule] = {
    # api-docs.deepseek.com/api/create-chat-completion
    "each call has its result right behind": _answered,
    "the first is a user": lambda said: _first_spoken(said) == "user",
    "contents are text": lambda said: all(
        isinstance(one.get("content"), str | list) or _calls(one) for one in said
    ),
}
PROVIDERS = {
    "OpenAI": OPENAI,
    "Mistral": MISTRAL,
    "Anthropic": ANTHROPIC,
    "Gemini": GEMINI,
    "DeepSeek": DEEPSEEK,
}


def complaints(messages: list[Said]) -> list[str]:
    """What any of them would refuse these messages for."""
    return [
        f"{provider}: {rule}"
        for provider, rules in PROVIDERS.items()
        for rule, holds in rules.items()
        if not holds(messages)
    ]


def lacks_thoughts(messages: list[Said], wanted: Callable[[Said], bool]) -> bool:
    """Whether a thinking model misses what it sent beside a call: `reasoning_content`
    (api-docs.deepseek.com/guides/thinking_mode), the signature of the first call of each step
    (ai.google.dev/gemini-api/docs/thought-signatures)."""
    return any(_calls(said) and not wanted(said) for said in messages)
