"""What a person is told when the model gave no answer: one honest sentence and the next step.

Nothing of the provider's own text is repeated: it may hold keys, addresses or another person's
words. The operator finds it in the log.
"""

from __future__ import annotations

from agents.base.effects import ModelFailure
from gateway.core.errors import ModelCategory

SENTENCES: dict[ModelCategory, str] = {
    "rate": "The model provider is limiting requests right now; {when}.",
    "quota": (
        "The model account has no credit left; the operator must add credit or set another "
        "LLM_API_KEY."
    ),
    "auth": "The model provider refused the key; the operator must check LLM_API_KEY.",
    "overloaded": "The model is overloaded; {when}.",
    "server": (
        "The model provider could not be reached or had an internal error; {when}, and if it goes "
        "on the operator should check LLM_BASE_URL."
    ),
    "timeout": (
        "The model did not answer in time or could not be reached; {when}, and if it goes on the "
        "operator should check LLM_BASE_URL."
    ),
    "overflow": "The conversation is too long for the model; start a new one.",
    "too_large": (
        "The message is too large for the model provider; send less text or a smaller attachment."
    ),
    "filtered": "The model provider's content filter stopped the answer; rephrase the message.",
    "not_found": (
        "The model provider does not know the model or the address; the operator must check "
        "LLM_MODEL and LLM_BASE_URL."
    ),
    "bad_request": (
        "The model provider did not accept the request; the operator finds the reason in the log."
    ),
    "truncated": "The model's answer broke off before its end; send the message again.",
    "bad_response": (
        "The model provider sent something that is not an answer; {when}, and if it goes on the "
        "operator should check LLM_BASE_URL."
    ),
}

EMPTY = "The model gave an empty answer; send the message again or put it in other words."
OUT_OF_TOKENS = (
    "The model used up its output limit of {limit} tokens before it answered; ask for less, or "
    "have the operator raise max_tokens in AGENT.md."
)
CUT_AT_LIMIT = "[cut off at the output limit of {limit} tokens; ask to go on]"
CUT_AT_WINDOW = (
    "[cut off because the conversation fills the model's window of {window} tokens; ask to go on, "
    "or start a new conversation]"
)
CUT_AT_REPETITION = "[cut off here, where the model began to repeat itself]"


TOO_LONG = (
    "The message alone is too long for the model: about {tokens} tokens, and it takes {window}; "
    "send less, or start a new conversation."
)


def sentence(failure: ModelFailure) -> str:
    """What to tell the person."""
    if failure.told:
        return failure.told
    # By our guess it may have fitted: then its size explains nothing.
    if failure.category == "overflow" and failure.tokens > failure.window > 0:
        return TOO_LONG.format(tokens=failure.tokens, window=failure.window)
    return SENTENCES[failure.category].format(when=_when(failure.retry_after_ms))


def _when(retry_after_ms: int | None) -> str:
    if not retry_after_ms or retry_after_ms < 0:
        return "try again in a moment"
    seconds = -(-retry_after_ms // 1000)
    if seconds <= 120:
        return f"try again in {seconds} s"
    return f"try again in {-(-seconds // 60)} min"
