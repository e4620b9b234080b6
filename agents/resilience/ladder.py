"""A model call whose prompt is made to fit: before it is sent where that is known, after a refusal
where it is not.

A generator like the turn it serves: it asks for summaries by an effect, so each is recorded and
paid once. At most `MAX_RUNGS` refusals are answered by shrinking, and a rung that does not shrink
ends it: so the number of calls is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

from agents.base import size, summaries
from agents.base.effects import (
    CallModel,
    Compact,
    Effects,
    ModelFailure,
    ModelOutcome,
    Outcome,
    Rung,
    Shortened,
    Snapshot,
)
from agents.base.messages import Message, Messages, SummaryMessage
from agents.base.models import ModelReply, ModelRequest
from agents.calling import call_model, compact
from agents.resilience import plain, shrinking

MAX_RUNGS = 3
"""Refusals of one call that are answered by making it smaller."""
SURELY = 1.25
"""Times the room that no guess is wrong by: such a prompt is not even sent."""
UNCUT = 0.5
"""Share of the room up to which a beginning is told in full to whoever summarises it."""
GUESS = 0.6
"""Share of a refused prompt that may fit, where the provider does not say what does."""
LEFT_OUT_NOTICE = "the beginning of the conversation was too long and was left out"

Make = Callable[[Messages], ModelRequest]


class Talk:
    """A conversation in a turn: `added` is what the transcript gets, `sent` what models see."""

    def __init__(self, snapshot: Snapshot, history: Messages) -> None:
        # A line where the model cannot see them, and measured as that: they are most of a window.
        self._history = history if snapshot.images else plain.without_images(history)
        self.sent: Messages = summaries.view(self._history, snapshot.window)
        self.added: list[Message] = []
        self.notices: list[str] = []
        self.window = snapshot.window
        self.room = shrinking.room(snapshot.window, snapshot.max_tokens) if snapshot.window else 0
        self._ratio = snapshot.ratio

    def say(self, *said: Message) -> None:
        """Go on."""
        self.added.extend(said)
        self.sent = (*self.sent, *said)

    def tokens(self, request: ModelRequest) -> int:
        """How large it is, as its model counts."""
        return round(request.guess * self._ratio)

    def count_as(self, request: ModelRequest, tokens: int) -> None:
        """So many tokens are what this request is, from now on."""
        self._ratio = tokens / max(request.guess, 1)

    def refused(self, tokens: int, window: int, max_tokens: int) -> None:
        """A prompt of so many tokens did not fit."""
        if window and not 0 < self.window <= window:  # a smaller model than was expected
            self.sent = summaries.view((*self._history, *self.added), window)
        self.window = window or self.window
        room = shrinking.room(window, max_tokens) if window else round(GUESS * tokens)
        if shrinking.FULL_SHARE * room >= shrinking.PROGRESS * tokens:
            room = round(GUESS * tokens)  # by our count it would have fitted: we count too low
        self.room = min(room, self.room or room)

    def guess(self, tokens: int) -> int:
        """So many of the model's tokens in ours."""
        return int(tokens / self._ratio)


def ask(talk: Talk, make: Make, round_: int) -> Generator[Effects, Outcome, ModelOutcome]:
    """The outcome of a model call that fits, or a failure with both sizes."""
    tokens = 0
    for rung in range(MAX_RUNGS + 1):
        request, shortened = make(talk.sent), None
        tokens = before = talk.tokens(request)
        if not talk.room and (fewer := shrinking.relieved(talk.sent)) is not talk.sent:
            talk.sent = fewer
            request = make(talk.sent)
            tokens = talk.tokens(request)
            shortened = Shortened(("cleared",), before, tokens)
        if talk.room and before > shrinking.FULL_SHARE * talk.room:
            rungs = yield from _shrink(talk, make, round_)
            request = make(talk.sent)
            tokens = talk.tokens(request)
            shortened = Shortened(rungs, before, tokens) if rungs else None
            hopeless = tokens > shrinking.PROGRESS * before and rung > 0
            if hopeless or tokens > SURELY * talk.room:
                return _too_long(tokens, talk.window)
        outcome = yield from call_model(CallModel(request, round_, shortened))
        if not isinstance(outcome, ModelFailure) or outcome.category != "overflow":
            return outcome
        if outcome.tokens:  # by another model, which counts in its own way
            tokens = outcome.tokens
            talk.count_as(request, tokens)
        talk.refused(tokens, outcome.window, make(()).max_tokens)
    return _too_long(tokens, talk.window)


def summarise(talk: Talk, make: Make) -> Generator[Effects, Outcome, ModelOutcome | None]:
    """Summarise what a summary can be made of, but for the newest messages, because somebody asked
    for it; for whichever model.

    The outcome of that call; None where there is too little, and nothing was asked.
    """
    places = shrinking.splits(talk.sent)
    if not places:
        return None
    whole = make(talk.sent)
    # Where no window is known: what has been answered so far is not too much.
    tokens = talk.guess(talk.room) or 2 * whole.guess
    uncut = [place for place in places if _size(talk.sent[:place]) <= UNCUT * tokens]
    beginning = talk.sent[: uncut[-1] if uncut else places[0]]
    asked = shrinking.summary_request(make(()), beginning, tokens)
    return (yield from _replace(talk, Compact(asked, 0, beginning, talk.tokens(whole)), 0))


def _shrink(talk: Talk, make: Make, round_: int) -> Generator[Effects, Outcome, tuple[Rung, ...]]:
    """Rung after rung until it fits; those that helped, but for a summary."""
    taken: list[Rung] = []

    def take(rung: Rung, smaller: Messages) -> None:
        if _size(smaller) <= shrinking.PROGRESS * _size(talk.sent):
            talk.sent = smaller
            taken.append(rung)

    def over(share: float) -> bool:
        return talk.tokens(make(talk.sent)) > share * talk.room

    if over(shrinking.GOAL_SHARE):
        take("cleared", shrinking.cleared(talk.sent))
    if over(shrinking.GOAL_SHARE):
        take("cut", shrinking.truncated(talk.sent, talk.guess(talk.room)))
    if over(shrinking.FULL_SHARE):
        yield from _summarise(talk, make, round_)
    if over(shrinking.FULL_SHARE):
        fixed = make(()).guess + size.of_text(shrinking.LEFT_OUT)
        goal = talk.guess(int(shrinking.FULL_SHARE * talk.room)) - fixed
        take("left_out", shrinking.dropped(talk.sent, goal))
        if "left_out" in taken and LEFT_OUT_NOTICE not in talk.notices:
            talk.notices.append(LEFT_OUT_NOTICE)
    return tuple(taken)


def _summarise(talk: Talk, make: Make, round_: int) -> Generator[Effects, Outcome, None]:
    fixed = make(())
    for place in shrinking.splits(talk.sent):
        beginning, rest = talk.sent[:place], talk.sent[place:]
        asked = shrinking.summary_request(fixed, beginning, talk.guess(talk.room))
        if talk.tokens(make(rest)) + asked.max_tokens <= shrinking.FULL_SHARE * talk.room:
            break
    else:
        return  # it would be paid for and left out again
    effect = Compact(asked, round_, beginning, talk.tokens(make(talk.sent)))
    yield from _replace(talk, effect, talk.window)


def _replace(talk: Talk, effect: Compact, window: int) -> Generator[Effects, Outcome, ModelOutcome]:
    """Put a summary in the place of the beginning it was asked for, where it is shorter."""
    outcome = yield from compact(effect)
    if isinstance(outcome, ModelReply) and outcome.text.strip():
        rest = talk.sent[len(effect.beginning) :]
        smaller = summaries.summarised(outcome.text, rest)
        if _size(smaller) <= shrinking.PROGRESS * _size(talk.sent):
            talk.sent = smaller
            talk.added.append(SummaryMessage(outcome.text, summaries.counted(rest), window))
    return outcome


def _size(messages: Messages) -> int:
    return sum(map(size.of_message, messages))


def _too_long(tokens: int, window: int) -> ModelFailure:
    said = f"the prompt has about {tokens} tokens and the model takes {window or 'fewer'}"
    return ModelFailure("overflow", said, window=window, tokens=tokens)
