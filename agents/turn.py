"""How an agent takes a turn: ask the model, run the tools it asks for, ask again, answer.

`ToolLoop.run` is a pure generator of effects: it does no I/O, reads no clock and makes up no id at
random, so the same outcomes always yield the same effects, live, in a replay and in a test. It
refuses to run tools the snapshot does not hold; the executor of the effects checks again.

One exchange, as a driver has it (each comment says what comes back):

    turn = program.run(snapshot, (question,))
    effect = next(turn)               # CallModel: the request the model is to be asked
    effect = turn.send(reply)         # CallTools: the calls of this ModelReply
    effect = turn.send(results)       # CallModel: the same request with a ToolResult for each call
    turn.send(answer)                 # raises StopIteration, whose value is the TurnResult

In every case the messages it returns are pair-safe: each call has its result. The driver throws
`Cancelled` at a yield only; a turn stopped before its first effect was never begun, and the driver
ends it itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from agents import context, failures, prompt
from agents.base.agents import Agent
from agents.base.effects import (
    Cancelled,
    ModelFailure,
    ModelOutcome,
    Snapshot,
    Turn,
    TurnResult,
)
from agents.base.messages import (
    AssistantMessage,
    Message,
    Messages,
    SummaryMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from agents.base.models import REPETITION, WINDOW_FULL, Limits, ModelReply, ModelRequest, ToolSpec
from agents.base.summaries import WANTED
from agents.base.tools import Tool, ToolResult, is_available
from agents.calling import call_tools
from agents.resilience.ladder import Talk, ask, summarise
from agents.tool_bounds import Limit, ToolUse, rounds_used
from gateway.core.parts import Text

MAX_ROUNDS = 32
"""Rounds of tools a turn may take: past this a model is going round in circles."""

SUMMARISED = "[The beginning of the conversation was summarised.]"
NOT_SUMMARISED = "[Nothing was summarised: there is too little to gain.]"
CUT_CALL = (
    "The call was not run: your output was cut off at the limit of {limit} tokens before it was "
    "complete. Make a shorter call."
)


class ToolLoop:
    """The turn program of every agent.

    `models` is the order in which models are tried for agents that name none; `limits` says what
    is known of the first that a request would be sent to.
    """

    def __init__(
        self,
        tools: Iterable[Tool],
        *,
        models: tuple[str, ...],
        max_rounds: int = MAX_ROUNDS,
        limits: Callable[[ModelRequest], Limits] = lambda request: Limits(),
    ) -> None:
        self._limits = limits
        self._tools = tuple(tools)
        self._models = models
        self._max_rounds = max_rounds

    def prepare(self, agent: Agent, *, revision: int, now_ms: int) -> Snapshot:
        """Everything the turn depends on, as it is now."""
        snapshot = Snapshot(
            agent=agent.id,
            system=prompt.system_prompt(agent),
            tools=tuple(tool.spec for tool in self._tools if is_available(tool, agent)),
            models=self._order(agent),
            max_tokens=agent.max_tokens,
            temperature=agent.temperature,
            max_rounds=self._max_rounds,
            revision=revision,
            now_ms=now_ms,
        )
        limits = self._limits(_request(snapshot, ()))
        return replace(snapshot, window=limits.window, ratio=limits.ratio, images=limits.images)

    def _order(self, agent: Agent) -> tuple[str, ...]:
        own = (agent.model,) if agent.model else self._models[:1]
        fallbacks = agent.fallback_models or self._models[1:]
        return tuple(dict.fromkeys((*own, *fallbacks)))

    def run(self, snapshot: Snapshot, history: Messages) -> Turn:
        """Take the turn. `history` ends with what is to be answered."""
        if history[-1:] == (WANTED,):
            return _summarised(snapshot, history[:-1])
        return _run(snapshot, history)


def _run(snapshot: Snapshot, history: Messages) -> Turn:
    talk = Talk(snapshot, history)
    return _noticed((yield from _rounds(snapshot, history, talk)), talk.notices)


def _summarised(snapshot: Snapshot, history: Messages) -> Turn:
    """Nobody is answered: the conversation becomes smaller, unless a summary was its last entry."""
    talk, outcome = Talk(snapshot, history), None
    if not (history and isinstance(history[-1], SummaryMessage)):
        try:
            outcome = yield from summarise(talk, partial(_request, snapshot))
        except Cancelled as stop:
            return _cancelled(stop, ())
    if outcome is not None:
        ended = _ended(snapshot, outcome, [])
        if ended is not None and ended.state == "failed":
            return ended
    told = SUMMARISED if talk.added else NOT_SUMMARISED
    return TurnResult("answered", told, tuple(talk.added))


def _rounds(snapshot: Snapshot, history: Messages, talk: Talk) -> Turn:
    added, use = talk.added, ToolUse()
    limit, round_ = rounds_used(snapshot.max_rounds), -1
    for round_ in range(snapshot.max_rounds):
        try:
            outcome = yield from ask(talk, lambda sent: _request(snapshot, sent), round_)
        except Cancelled as stop:
            return _cancelled(stop, (*added, *_partial(stop.partial_text)))
        _note(talk, outcome)
        ended = _ended(snapshot, outcome, added)
        if ended is not None:
            return ended
        assert isinstance(outcome, ModelReply)  # a failure has ended the turn above
        calls = _with_fresh_ids(use.kept(outcome.tool_calls), (*history, *added))
        talk.say(AssistantMessage(outcome.text, calls, opaque=outcome.opaque))
        refused = _refusals(snapshot, outcome, calls)
        runnable = tuple(call for call in calls if call.id not in refused)
        refused |= use.refusals(runnable, len(outcome.tool_calls))
        runnable = tuple(call for call in calls if call.id not in refused)
        try:
            results = (yield from call_tools(runnable, round_)) if runnable else ()
        except Cancelled as stop:
            done = {finished.call.id: finished.result for finished in stop.finished_tools}
            return _cancelled(stop, (*added, *_answers(calls, refused | done)))
        by_id = {call.id: result for call, result in zip(runnable, results, strict=True)}
        talk.say(*_answers(calls, refused | use.taken(by_id)))
        if use.reached is not None:
            limit = use.reached
            break
    return (yield from _close(snapshot, talk, limit, round_ + 1))


def _close(snapshot: Snapshot, talk: Talk, limit: Limit, round_: int) -> Turn:
    """What tools may do is used up: one last call that must answer.

    The tools stay in the request, although none will be run: providers refuse a history with calls
    when no tools are declared, and the cached prefix stays the same.
    """
    demand = UserMessage((Text(limit.demand),))
    added = talk.added
    try:
        outcome = yield from ask(talk, lambda sent: _request(snapshot, (*sent, demand)), round_)
    except Cancelled as stop:
        return _cancelled(stop, (*added, *_partial(stop.partial_text)))
    _note(talk, outcome)
    if isinstance(outcome, ModelReply):
        outcome = replace(outcome, tool_calls=())
        if not outcome.text.strip() and outcome.finish_reason not in _CUT:
            return TurnResult("failed", limit.told, tuple(added), limit.kind)
    ended = _ended(snapshot, outcome, added)
    assert ended is not None  # without calls there is nothing to go on with
    return ended


def _note(talk: Talk, outcome: ModelOutcome) -> None:
    if isinstance(outcome, ModelReply) and outcome.notice:
        talk.notices.append(outcome.notice)


_CUT = ("length", WINDOW_FULL, "content_filter")
"""Finish reasons that say the provider, not the model, ended the answer."""


def _ended(snapshot: Snapshot, outcome: ModelOutcome, added: list[Message]) -> TurnResult | None:
    """How this outcome ends the turn; None when there are calls to go on with."""
    sofar = tuple(added)
    if isinstance(outcome, ModelFailure):
        return TurnResult(
            "failed", failures.sentence(outcome), sofar, outcome.kind or outcome.category
        )
    if outcome.finish_reason == "content_filter":
        # What got through before the filter struck is kept out of the transcript too.
        return TurnResult("failed", failures.SENTENCES["filtered"], sofar, "filtered")
    if outcome.tool_calls:
        return None
    if not outcome.text.strip():
        if outcome.finish_reason == "length":
            text = failures.OUT_OF_TOKENS.format(limit=snapshot.max_tokens)
            return TurnResult("failed", text, sofar, "truncated")
        return TurnResult("failed", failures.EMPTY, sofar, "bad_response")
    text = "\n\n".join(filter(None, (outcome.text, _cut_notice(snapshot, outcome))))
    said = AssistantMessage(outcome.text, opaque=outcome.opaque)
    return TurnResult("answered", text, (*sofar, said))


def _cut_notice(snapshot: Snapshot, reply: ModelReply) -> str:
    """What cut an answer off; empty for a whole one."""
    if reply.window:
        return failures.CUT_AT_WINDOW.format(window=reply.window)
    if reply.finish_reason == "length":
        return failures.CUT_AT_LIMIT.format(limit=_limit(snapshot, reply))
    if reply.finish_reason == REPETITION:
        return failures.CUT_AT_REPETITION
    return ""


def _limit(snapshot: Snapshot, reply: ModelReply) -> int:
    """The output limit that was reached; a small model has a lower one of its own."""
    return min(reply.usage.output_tokens or snapshot.max_tokens, snapshot.max_tokens)


def _noticed(result: TurnResult, notices: list[str]) -> TurnResult:
    """The answer with what a person should know of how it came about; the transcript is without."""
    if not notices or result.state != "answered":
        return result
    return replace(result, text=f"{result.text}\n\n[{'; '.join(notices)}]")


def _request(snapshot: Snapshot, messages: Messages) -> ModelRequest:
    return ModelRequest(
        model=snapshot.models[0] if snapshot.models else "",
        system=snapshot.system,
        messages=context.for_request(messages),
        tools=snapshot.tools,
        max_tokens=snapshot.max_tokens,
        temperature=snapshot.temperature,
        fallbacks=snapshot.models[1:],
    )


def _with_fresh_ids(calls: tuple[ToolCall, ...], before: Messages) -> tuple[ToolCall, ...]:
    """The calls with ids nobody in this conversation has; small models count from 0 each time."""
    taken = context.call_ids(context.repair(before))
    unique: list[ToolCall] = []
    for call in calls:
        unique.append(replace(call, id=context.fresh_id(call.id, taken)))
        taken.add(unique[-1].id)
    return tuple(unique)


def _refusals(
    snapshot: Snapshot, reply: ModelReply, calls: tuple[ToolCall, ...]
) -> dict[str, ToolResult]:
    """Results, by call id, of the calls that are not run at all."""
    if reply.finish_reason in ("length", WINDOW_FULL):
        # Which of the calls is the incomplete one cannot be told: half a path is a path as well.
        limit = _limit(snapshot, reply)
        cut = ToolResult(CUT_CALL.format(limit=limit), is_error=True)
        return {call.id: cut for call in calls}
    known = {spec.name for spec in snapshot.tools}
    return {
        call.id: _unknown(call.name, snapshot.tools) for call in calls if call.name not in known
    }


def _unknown(name: str, tools: tuple[ToolSpec, ...]) -> ToolResult:
    have = ", ".join(spec.name for spec in tools) or "none"
    return ToolResult(f"There is no tool {name[:64]!r} here; available: {have}.", is_error=True)


def _answers(calls: tuple[ToolCall, ...], results: dict[str, ToolResult]) -> list[ToolMessage]:
    """One result a call, in order; a call without one was interrupted."""
    return [
        ToolMessage(call.id, call.name, result.text, result.is_error)
        if (result := results.get(call.id)) is not None
        else context.interrupted(call)
        for call in calls
    ]


def _partial(text: str) -> Messages:
    return (AssistantMessage(text, partial=True),) if text.strip() else ()


def _cancelled(stop: Cancelled, messages: Messages) -> TurnResult:
    return TurnResult("cancelled", stop.partial_text, messages)
