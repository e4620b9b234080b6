"""What an answer tells of the model that gave it: how it counts, and how large its window is."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from agents.base.models import ModelReply, ModelRequest
from agents.resilience import shrinking
from agents.resilience.choosing import Candidate
from agents.resilience.key_state import KeyState

log = structlog.get_logger(__name__)

PROMPT_CUT = (
    "the model server read only part of the conversation; from now on it will be shortened to fit"
)


@dataclass(frozen=True, slots=True)
class Answered:
    """A request as this candidate was sent it, and the answer."""

    candidate: Candidate
    sent: ModelRequest
    reply: ModelReply
    now_ms: int


def learnt_from(keys: KeyState, answered: Answered) -> str:
    """Learn from an answer; a notice for people where the server read only part of the prompt."""
    keys.standings.learn_window(
        *answered.candidate.key, answered.reply.window, now_ms=answered.now_ms
    )
    return _counted(keys, answered)


def _counted(keys: KeyState, answered: Answered) -> str:
    """Learn from the server's count; some cut a prompt that is too long, and say nothing."""
    candidate, sent = answered.candidate, answered.sent
    if candidate.profile.identity:
        return ""  # the count is of what it was told, and says little of how it counts
    guessed, counted = sent.guess, answered.reply.usage.input_tokens
    if keys.scale(candidate.model).learn(guessed, counted, sent.words):
        return ""
    window = shrinking.window_for(counted, sent.max_tokens)
    keys.standings.learn_window(*candidate.key, window, now_ms=answered.now_ms)
    log.warning(
        "model.prompt_cut",
        profile=candidate.profile.name,
        model=candidate.model,
        guessed=guessed,
        counted=counted,
    )
    return PROMPT_CUT
