"""Numbers in a complaint about size: window, prompt, output limit. Pure; called by `refusal`.

Servers complain of four different things in similar words: the prompt is longer than the window,
prompt and wished output together are, the wish alone is larger than any answer may be, or the
request is larger than a key's tokens per minute. Only the numbers tell them apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SMALLEST_WINDOW, LARGEST_WINDOW = 256, 100_000_000
"""A number outside these is not the window of any model."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens as the server counts; 0 where it named no number.

    `window` is what prompt and output may have together, `prompt` how large this prompt is (never
    below its real size), `output` the maximum of any answer, `fits` the largest output that fits
    beside this prompt. `per_minute` is true where `window` is a limit of tokens per minute that
    this request alone exceeds: waiting cannot help, a shorter request can.
    """

    window: int = 0
    prompt: int = 0
    output: int = 0
    fits: int = 0
    per_minute: bool = False


UNSAID = Sizes()


def _compiled(*patterns: str) -> tuple[re.Pattern[str], ...]:
    number = r"(?P<\1>\\d[\\d,_]*)"
    return tuple(
        re.compile(re.sub(r"<(\w+)>", number, pattern), re.IGNORECASE | re.DOTALL)
        for pattern in patterns
    )


TOGETHER = _compiled(
    # OpenAI, DeepSeek, older vLLM; OpenRouter: "(N of text input, …, M in the output)"
    r"context length (?:is|of) <window> tokens?\b.*?\brequested (?:about )?<total> tokens "
    r"\([^)]*?<asked> (?:of|in the) (?:completion|output)",
    # vLLM 0.10 and 0.20
    r"context length is <window> tokens and your request has <prompt> input tokens \(<asked> >",
    r"context length is <window> tokens.*?requested <asked> output tokens and your prompt contains "
    r"(?:at least )?<prompt> input tokens",
    # Anthropic
    r"exceed context limit: <prompt> \+ <asked> > <window>",
    # text-generation-inference, Together
    r"tokens? \+ \W?max_new_tokens\W? must be <= <window>\. given: <prompt> \W?inputs?\W? tokens? "
    r"and <asked>",
)
"""Prompt and wished output against the window, all with their numbers."""

PER_MINUTE = _compiled(
    r"tokens per (?:min|minute|day)\b.*?\blimit:? <window>\b.*?\brequested:? <total>",
)

OUTPUTS = _compiled(
    r"at most <output> (?:completion|output) tokens",  # OpenAI
    r"> <output>, which is the maximum allowed number of output tokens",  # Anthropic
    # Groq
    r"max_\w*tokens\W+must be (?:less than or equal to|at most|no more than|<=) \W?<output>",
    r"range of \W?max_\w*tokens\W? (?:is|should be) \[\d+, ?<output>\]",  # DeepSeek, DashScope
    # Vertex
    r"max_?(?:output_?|completion_?)?tokens.*?\(inclusive\) (?:to|and) <beyond> \(exclusive\)",
    r"max_\w*tokens\b[^.]*?(?:cannot|must not|may not) (?:be (?:greater|larger|more) than|exceed) "
    r"(?!max_model_len)\W?<output>",
    r"maximum (?:number of )?(?:output|completion) tokens (?:is|of|allowed is|allowed:) <output>",
)
"""The largest answer there is, whatever the prompt."""

WINDOWS = _compiled(
    r"cannot be greater than max_model_len=<window>",  # vLLM
    r"maximum context length (?:is|of) <window>",
    r"<window> maximum context length",
    r"context length is only <window>",
    r"> <window> maximum\b",
    r"maximum context length \(<window>\)",
    r"maximum prompt length is <window>",
    r"maximum number of tokens(?: allowed)? \(?<window>",
    r"available context size \(<window>",
    r"context (?:window|length|size) of (?:only )?<window>",
    r"max(?:imum)?[ _](?:seq(?:uence)?_len|model_len|position_embeddings)\w* \(?<window>",
    r"token limit:? <window>",
    r"range of \W?(?:input|prompt)\W? length (?:is|should be) \[\d+, ?<window>",  # DashScope
)
"""The window alone."""

TOO_LITTLE = re.compile(r"max_\w*tokens must be at least 1, got -(?P<short>\d{1,9})\b")
"""vLLM, where less than nothing is left for the answer: the wish less this many would fit."""


def in_message(message: str) -> Sizes:
    """The numbers in a complaint; all 0 where it holds none that make sense."""
    found = _first(PER_MINUTE, message)
    if found is not None and _number(found, "total") > _number(found, "window"):
        return Sizes(window=plausible(_number(found, "window")), per_minute=True)
    found = _first(TOGETHER, message)
    if found is not None:
        window, asked = plausible(_number(found, "window")), _number(found, "asked")
        prompt = _number(found, "prompt") or max(_number(found, "total") - asked, 0)
        return Sizes(window, prompt, fits=max(window - prompt, 0))
    found = _first(OUTPUTS, message)
    if found is not None:
        output = _number(found, "output") or max(_number(found, "beyond") - 1, 0)
        return Sizes(output=output, fits=output)
    found = _first(WINDOWS, message)
    return Sizes(window=plausible(_number(found, "window"))) if found is not None else Sizes()


def short_by(message: str) -> int:
    """How many tokens of the wished output are too many, where that is all the server says."""
    found = TOO_LITTLE.search(message)
    return int(found["short"]) if found is not None else 0


def plausible(value: object) -> int:
    """The value where it can be a window, else 0."""
    if isinstance(value, int) and SMALLEST_WINDOW <= value <= LARGEST_WINDOW:
        return value
    return 0


def _first(patterns: tuple[re.Pattern[str], ...], message: str) -> re.Match[str] | None:
    return next((match for one in patterns if (match := one.search(message))), None)


def _number(match: re.Match[str] | None, name: str) -> int:
    if match is None or match.groupdict().get(name) is None:
        return 0
    digits = re.sub(r"\D", "", match[name])
    return int(digits) if len(digits) < 10 else 0
