"""What a search asks of the policy it searches for."""

from __future__ import annotations

from typing import Protocol

from agents.base.models import Model, ModelRequest
from agents.base.profiles import Standing
from agents.resilience import answers, consequences
from agents.resilience.abilities import Abilities
from agents.resilience.choosing import Candidate
from agents.resilience.limiter import Room
from agents.resilience.line import Line
from agents.resilience.longest import Longest
from gateway.core.errors import ModelAttempt


class Policy(consequences.Books, answers.Models, Protocol):
    """Where failures and answers are written down, and who is asked how."""

    rooms: dict[tuple[str, str], Room]
    longest: Longest

    def able(self, request: ModelRequest, session: str) -> list[Candidate]: ...

    def room(self, candidate: Candidate, now_ms: int) -> Room | None: ...

    def standing(
        self, candidate: Candidate, *, now_ms: int, session: str, tokens: int, background: bool
    ) -> Standing: ...

    def abilities(self, candidate: Candidate) -> Abilities: ...

    def window_as_asked(self, candidate: Candidate, request: ModelRequest) -> int: ...

    def line(self, candidate: Candidate) -> Line: ...

    def client(self, profile: str) -> Model: ...

    def ended(
        self, attempt: ModelAttempt, input_tokens: int = 0, output_tokens: int = 0
    ) -> None: ...

    def answered(self, session: str, by: Candidate, wanted: str) -> str: ...
