"""How many tokens an answer took, as its server counts, as far as that can be. Pure.

Counts come from outside and go into budgets: one that no text of this size could have is as good as
none. Called by `openai_answer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agents.base.models import Usage

UNSEEN = 20_000
"""Input tokens a server may add of its own: templates, tools of its own, a system prompt."""
IMAGE_TOKENS = 20_000
"""Input tokens of one image, however large."""
HIDDEN = 2
"""Times the output asked for, as some reason in hiding beyond it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked: its size in bytes, how many images, and how many tokens of output."""

    size: int = 0
    images: int = 0
    output: int = 0

    @property
    def most_input(self) -> int:
        """A token is a byte at least."""
        return self.size + self.images * IMAGE_TOKENS + UNSEEN

    def most_output(self, received: int) -> int:
        """Of an answer of so many bytes, what it thought included."""
        return HIDDEN * self.output + received + UNSEEN


def read_usage(told: dict[str, Any], asked: Asked, received: int) -> tuple[Usage, str]:
    """The `usage` of an answer of `received` bytes, zero where nothing is told; and what is
    impossible about it, empty where nothing is."""
    input_ = _first(told, "prompt_tokens", "input_tokens")
    output = _first(told, "completion_tokens", "output_tokens")
    most_output = asked.most_output(received)
    for name, value, most in (
        ("input", input_, asked.most_input),
        ("output", output, most_output),
    ):
        if not _possible(value, most):
            return Usage(), f"{str(value)[:40]!r} {name} tokens; {most} are the most possible"
    # Google counts what was thought in the total only.
    total = told.get("total_tokens")
    unnamed = total - input_ if _possible(total, input_ + most_output) else 0
    return Usage(input_, max(output, unnamed if input_ else 0)), ""


def _first(told: dict[str, Any], *names: str) -> Any:
    return next((told[name] for name in names if told.get(name) is not None), 0)


def _possible(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
