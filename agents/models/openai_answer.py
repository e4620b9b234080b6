"""Putting an answer together from the pieces an OpenAI-compatible server streams. Pure.

Nothing a server sends is trusted: each member is looked at before it is used, what is no answer
raises `ModelFailed`, and an answer without its finish reason is never taken for a whole one.
Called by the OpenAI client for each event, or once for a server that does not stream.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agents.base.messages import Opaque, ToolCall
from agents.base.models import WINDOW_FULL, ModelReply, Usage
from agents.failures import EMPTY
from agents.models import openai_beside
from agents.models.openai_beside import Beside
from agents.models.openai_calls import Calls
from agents.models.openai_finish import read_finish
from agents.models.openai_thoughts import Thoughts
from agents.models.openai_usage import Asked, read_usage
from agents.models.sizes import SMALLEST_WINDOW
from gateway.core.errors import ModelFailed

MAX_OUTPUT_CHARS = 4_000_000
"""Longest answer taken, calls and thoughts included: ten times the largest output of any model."""

REPEATED_CHARS = 16
"""From this length on, a piece that equals all before it is the answer told again."""

FEWER = 0.9
"""An answer cut at its limit with less than this share of it was cut by something else."""

MESSAGES = ("message", "msg", "detail", "error_msg", "error_message", "errorMessage")
CODES = ("code", "error_code", "errorCode")
FINE = (0, 200, "0", "200")


class UpstreamError(Exception):
    """The server reports an error where an answer should be; `body` is what it says."""

    def __init__(self, body: object) -> None:
        super().__init__("an error came in place of an answer")
        self.body = body


class Answer:
    """Grows with each event; `finish` ends it and `reply` hands it out if it is whole.

    `asked` bounds what may be counted; `opened` says that this model's answers begin with a thought
    that nobody opens.
    """

    def __init__(self, asked: Asked | None = None, *, opened: bool = False) -> None:
        self._asked = asked or Asked()
        self._thoughts = Thoughts(opened=opened)
        self._raw: list[str] = []
        self._raw_chars = 0
        self._calls = Calls()
        self._beside = Beside()
        self.dropped = False
        """Whether more was sent beside the answer than is kept."""
        self._chars = 0
        self._events = 0
        self._choices = 0
        self._finish = ""
        self._usage: dict[str, Any] = {}
        self._model = ""

    @property
    def silent(self) -> bool:
        """Whether no event at all has arrived."""
        return self._events == 0

    @property
    def begun(self) -> bool:
        """Whether anything of the answer has arrived."""
        return self._choices > 0

    @property
    def ended(self) -> bool:
        """Whether it is whole: what becomes of the connection then does not matter."""
        return bool(self._finish) and read_finish(self._finish) not in ("broken", "error")

    @property
    def misled(self) -> bool:
        """Whether text that `feed` returned earlier turned out to be a thought."""
        return self._thoughts.misled

    def feed(self, event: object, name: str = "") -> str:
        """Take one event in; returns the text it adds."""
        self._events += 1
        if isinstance(event, list) and len(event) == 1:
            event = event[0]
        if isinstance(event, str) and event:
            raise UpstreamError(event)
        if not isinstance(event, dict):
            raise _bad(f"an event of the answer is a {type(event).__name__}, not an object")
        if (error := _error_in(event, name)) is not None:
            raise UpstreamError(error)
        if isinstance(model := event.get("model"), str) and model:
            self._model = model
        if isinstance(usage := event.get("usage"), dict) and usage:
            self._usage = usage
        choice = _first_choice(event.get("choices"))
        return self._take(choice) if choice is not None else ""

    def finish(self) -> str:
        """No more comes; returns the text that was held back until now."""
        return self._thoughts.finish()

    @property
    def doubt(self) -> str:
        """What is impossible in the server's count of tokens, empty if nothing is."""
        return self._counted()[1]

    def reply(self, profile: str, asked_model: str = "") -> ModelReply:
        """The whole answer of the model that was asked at this profile; raises `ModelFailed` when
        it is not whole."""
        if not self._events:
            raise _bad("the answer is empty")
        if not self._choices:
            raise _bad("the answer holds no choices")
        if not self._finish:
            raise ModelFailed("truncated", "the answer ended without a finish reason")
        finish = read_finish(self._finish)
        if finish == "error":
            raise ModelFailed("server", "the provider broke the answer off with an error")
        if finish == "broken":
            word = "".join(filter(str.isprintable, self._finish[:40]))
            raise ModelFailed("truncated", f"the provider broke the answer off ({word!r})")
        text, usage = _mended(self._thoughts.text), self._counted()[0]
        calls, opaque = self._with_opaque(profile, asked_model)
        window = self._window(usage) if finish == "length" else 0
        if not text.strip() and not calls:
            if window:
                raise ModelFailed("overflow", "the prompt fills the window", window=window)
            if finish in ("stop", "tool_calls"):
                raise _bad("the answer holds no text and no call", told=EMPTY)
        reason = WINDOW_FULL if window else finish
        return ModelReply(text, calls, reason, usage, self._model, profile, opaque=opaque)

    def _with_opaque(self, profile: str, model: str) -> tuple[tuple[ToolCall, ...], Opaque | None]:
        """The calls, and what was sent beside them and the text; too much of it is left out whole,
        because a part of it is worth nothing."""
        found = self._calls.whole()
        calls = tuple(call for call, _ in found)
        members = [
            beside.members(with_empty=True) | openai_beside.own_id(call.id)
            for call, beside in found
        ]
        members.append(self._beside.members(with_empty=bool(calls)))
        texts = [openai_beside.as_text(some) if some else "" for some in members]
        if sum(len(text.encode()) for text in texts) > openai_beside.MAX_BYTES:
            self.dropped = True
            return calls, None
        *of_calls, of_message = (Opaque(profile, model, text) if text else None for text in texts)
        with_opaque = (replace(c, opaque=o) for c, o in zip(calls, of_calls, strict=True))
        return tuple(with_opaque), of_message

    def _counted(self) -> tuple[Usage, str]:
        return read_usage(self._usage, self._asked, 4 * self._chars)

    def _window(self, usage: Usage) -> int:
        """How large the window is that ended the answer before its limit; 0 if the limit did.

        A server may also have a lower limit of its own, which is a round number.
        """
        output, window = usage.output_tokens, usage.total
        if not (usage.input_tokens and output) or output >= FEWER * self._asked.output:
            return 0
        own_limit = _round(output) and not _round(window)
        return 0 if own_limit or window < SMALLEST_WINDOW else window

    def _take(self, choice: dict[str, Any]) -> str:
        if isinstance(choice.get("error"), dict):
            raise UpstreamError(choice["error"])
        self._choices += 1
        said = choice.get("delta") or choice.get("message") or {}
        if not isinstance(said, dict):
            raise _bad("a piece of the answer is not an object")
        finish = choice.get("finish_reason")
        finish = finish if isinstance(finish, str) else ""
        self._take_calls(said, told_again=not choice.get("delta"))
        if choice.get("delta") or not self._beside:
            self._grow(self._beside.take(said))
        text = _text(said.get("content")) + _text(said.get("refusal"))
        text = self._news(text, told_again=not choice.get("delta"), ends=bool(finish))
        self._finish = finish or self._finish
        if not text:
            return ""
        self._raw.append(text)
        self._raw_chars += len(text)
        self._grow(len(text))
        return self._thoughts.feed(text)

    def _take_calls(self, said: dict[str, Any], *, told_again: bool) -> None:
        calls = said.get("tool_calls") or []
        if not isinstance(calls, list):
            raise _bad("the tool calls of the answer are not a list")
        if not calls and isinstance(said.get("function_call"), dict):
            calls = [{"index": 0, "function": said["function_call"]}]
        if told_again and self._calls:
            return  # a whole message behind its pieces
        for piece in calls:
            self._grow(self._calls.take(piece))

    def _news(self, text: str, *, told_again: bool, ends: bool) -> str:
        """The text without what was sent before: some send the whole answer again at its end."""
        if not self._raw or not text:
            return text
        if not told_again and len(text) != self._raw_chars:
            return text
        before = "".join(self._raw)
        if told_again:
            return text.removeprefix(before) if text.startswith(before) else ""
        long = len(text) >= REPEATED_CHARS and (ends or len(self._raw) > 1)
        return "" if text == before and (long or self._finish) else text

    def _grow(self, chars: int) -> None:
        self._chars += chars
        if self._chars > MAX_OUTPUT_CHARS:
            raise _bad(f"the answer is longer than {MAX_OUTPUT_CHARS} characters")


def _error_in(event: dict[str, Any], name: str) -> object | None:
    """The error an event is, however flat; None for a piece of an answer."""
    if event.get("error") or event.get("object") == "error" or event.get("type") == "error":
        return event
    if name == "error":
        return event
    if event.get("choices") or event.get("usage"):
        return None
    base = event.get("base_resp")  # MiniMax
    if isinstance(base, dict) and base.get("status_code"):
        return {"code": base["status_code"], "message": base.get("status_msg")}
    message = next((event[key] for key in MESSAGES if isinstance(event.get(key), str)), None)
    code = next((event[key] for key in CODES if event.get(key) is not None), None)
    if message is None or code in FINE:
        return None
    return {"code": code, "type": event.get("type"), "message": message}


def _first_choice(choices: object) -> dict[str, Any] | None:
    """The choice asked for; None in events that carry only usage or filter results."""
    if choices is None or choices == []:
        return None
    if not isinstance(choices, list) or not isinstance(choices[0], dict):
        raise _bad("the choices of the answer are not a list of objects")
    return choices[0]


def _text(content: object) -> str:
    """Text, or the text of a list of parts as Mistral sends it; thoughts are left out."""
    match content:
        case None:
            return ""
        case str():
            return content
        case list():
            parts = (part for part in content if isinstance(part, dict))
            texts = (part.get("text") for part in parts if part.get("type") in ("text", None))
            return "".join(text for text in texts if isinstance(text, str))
        case _:
            raise _bad(f"the text of the answer is a {type(content).__name__}")


def _mended(text: str) -> str:
    """With the halves of surrogate pairs, which some servers send apart, put together."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _round(tokens: int) -> bool:
    """Whether somebody may have chosen this number as a limit."""
    return tokens % 256 == 0 or tokens % 1000 == 0


def _bad(message: str, *, told: str = "") -> ModelFailed:
    return ModelFailed("bad_response", message, told=told)
