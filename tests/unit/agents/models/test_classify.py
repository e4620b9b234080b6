"""One row a thing providers are known to say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agents.models.classify import classify, row_of
from agents.models.refusal import Refusal, read_refusal
from agents.models.refusal_rows import ROWS
from gateway.core.errors import ModelCategory


def said(message: str = "", *, code: object = None, type_: object = None) -> dict[str, object]:
    return {"error": {"message": message, "code": code, "type": type_}}


SAID: list[tuple[int | None, object, ModelCategory]] = [
    # status alone
    (400, {}, "bad_request"),
    (401, {}, "auth"),
    (402, {}, "quota"),
    (403, {}, "auth"),
    (404, {}, "not_found"),
    (405, {}, "bad_request"),
    (408, {}, "timeout"),
    (409, {}, "bad_request"),
    (413, {}, "too_large"),
    (418, {}, "bad_request"),
    (422, {}, "bad_request"),
    (429, {}, "rate"),
    (498, {}, "overloaded"),
    (499, {}, "bad_request"),
    (500, {}, "server"),
    (502, {}, "server"),
    (503, {}, "overloaded"),
    (504, {}, "timeout"),
    (520, {}, "server"),
    (522, {}, "timeout"),
    (524, {}, "timeout"),
    (529, {}, "overloaded"),
    (599, {}, "server"),
    (307, {}, "not_found"),
    (None, {}, "server"),
    # OpenAI
    (400, said("too long", code="context_length_exceeded"), "overflow"),
    (400, said("Your input exceeds the context window of this model."), "overflow"),
    (400, said("This model's maximum context length is 8192 tokens."), "overflow"),
    (429, said("", code="rate_limit_exceeded", type_="tokens"), "rate"),
    (503, said("", code="slow_down"), "rate"),
    (429, said("", type_="insufficient_quota", code="credit_balance_exhausted"), "quota"),
    (429, said("You exceeded your current quota, please check your plan"), "quota"),
    (401, said("", code="invalid_api_key"), "auth"),
    (404, said("", code="model_not_found"), "not_found"),
    (400, said("", code="content_policy_violation"), "filtered"),
    # Azure
    (400, said("", code="content_filter"), "filtered"),
    (404, said("", code="DeploymentNotFound"), "not_found"),
    # Anthropic
    (400, said("prompt is too long: 200001 tokens > 200000 maximum"), "overflow"),
    (400, said("input length and `max_tokens` exceed context limit: 190000 + 20000"), "overflow"),
    (400, said("Your credit balance is too low", type_="invalid_request_error"), "quota"),
    (413, said("", type_="request_too_large"), "too_large"),
    (429, said("", type_="rate_limit_error"), "rate"),
    (529, said("", type_="overloaded_error"), "overloaded"),
    (500, said("", type_="api_error"), "server"),
    (402, said("", type_="billing_error"), "quota"),
    # vLLM, llama.cpp, LM Studio, Ollama
    (400, said("context length is only 4096 tokens", code=400, type_="BadRequest"), "overflow"),
    (400, said("input length (9) exceeds model's maximum context length (8)"), "overflow"),
    (400, said("", type_="exceed_context_size_error"), "overflow"),
    (500, said("the request exceeds the available context size"), "overflow"),
    (500, said("the request exceeds the available context size", type_="server_error"), "overflow"),
    (500, said("Internal error, nothing else", type_="server_error"), "server"),
    (503, said("Loading model", type_="unavailable_error"), "overloaded"),
    (400, said("tokens to keep is greater than the context length"), "overflow"),
    (404, {"error": "model 'x' not found, try pulling it first"}, "not_found"),
    # OpenRouter
    (402, said("Insufficient credits", code=402), "quota"),
    (403, said("Input was flagged by moderation", code=403), "filtered"),
    (502, said("Provider returned error", code=502), "overloaded"),
    (None, said("Provider returned error", code=502), "overloaded"),
    (None, said("Provider disconnected", code=502), "server"),
    (None, said("Provider returned error", code=429), "rate"),
    (None, said("No credits", code="402"), "quota"),
    (None, said("Overloaded", code="529"), "overloaded"),
    (400, said("This endpoint's maximum context length is 4096 tokens."), "overflow"),
    # Groq, DeepSeek, Mistral, xAI, Kimi, MiniMax, Bedrock
    (413, said("Please reduce the length of the messages or completion."), "overflow"),
    (498, said("", code="capacity_exceeded"), "overloaded"),
    (402, said("Insufficient Balance"), "quota"),
    (429, {"object": "error", "type": "rate_limited", "code": "1300"}, "rate"),
    (400, said("Prompt too large for model with 32768 maximum context length"), "overflow"),
    (400, {"object": "error", "type": "rate_limited", "message": ""}, "rate"),
    (400, said("This model's maximum prompt length is 131072"), "overflow"),
    (400, said("Your request exceeded model token limit: 8192"), "overflow"),
    (400, said("context window exceeds limit"), "overflow"),
    (400, said("Input is too long for requested model."), "overflow"),
    # Google
    (
        400,
        [{"error": {"code": 400, "message": "The input token count (9) exceeds the maximum"}}],
        "overflow",
    ),
    (429, [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": ""}}], "rate"),
    (503, {"error": {"code": 503, "status": "UNAVAILABLE", "message": ""}}, "overloaded"),
    (400, {"error": {"message": "", "details": [{"reason": "API_KEY_INVALID"}]}}, "auth"),
    (400, said("API key not valid. Please pass a valid API key."), "auth"),
    # inside a stream
    (None, said("Rate limit reached"), "rate"),
    (None, said("The engine is currently overloaded"), "overloaded"),
    (None, said("prompt is too long"), "overflow"),
    (None, said("Too many requests", code="too_many_requests"), "rate"),
    # words alone: OpenAI, Anthropic, Google, Azure, Kimi, and those of several
    (400, said("", type_="model_context_window_exceeded"), "overflow"),
    (400, said("", code="context_window_exceeded"), "overflow"),
    (429, said("", code="billing_hard_limit_reached"), "quota"),
    (429, said("", code="insufficient_quota"), "quota"),
    (429, said("", code="organization_spend_limit_exceeded"), "quota"),
    (429, said("", code="organization_usage_limit_exceeded"), "quota"),
    (429, said("", code="project_spend_limit_exceeded"), "quota"),
    (403, said("", code="insufficient_balance"), "quota"),
    (400, said("", code="payment_required"), "quota"),
    (400, said("You have reached your specified API spend limit."), "quota"),
    (403, said("", code="account_deactivated"), "auth"),
    (401, said("", type_="authentication_error"), "auth"),
    (403, said("", type_="permission_error"), "auth"),
    (403, {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": ""}}, "auth"),
    (401, {"error": {"code": 401, "status": "UNAUTHENTICATED", "message": ""}}, "auth"),
    (404, said("", type_="not_found_error"), "not_found"),
    (500, said("", code="engine_overloaded"), "overloaded"),
    (429, said("", type_="engine_overloaded_error"), "overloaded"),
    (500, said("", code="overloaded"), "overloaded"),
    (500, said("", code="server_overloaded"), "overloaded"),
    (500, said("", code="service_unavailable"), "overloaded"),
    (400, said("", code="ResponsibleAIPolicyViolation"), "filtered"),
    (400, said("The prompt violates our content management policy."), "filtered"),
    (500, said("", type_="timeout_error"), "timeout"),
    (500, {"error": {"code": 504, "status": "DEADLINE_EXCEEDED", "message": ""}}, "timeout"),
    (500, said("", code="request_timeout"), "timeout"),
    (500, said("", code="timeout"), "timeout"),
    (500, said("", type_="server_error"), "server"),
    (500, {"error": {"code": 500, "status": "INTERNAL", "message": ""}}, "server"),
    (500, said("", code="internal_server_error"), "server"),
    (400, said("Insufficient credits"), "quota"),
    # limits a minute speak of tokens and lengths, too
    (413, said("Request too large for model on tokens per minute (TPM): reduce the length of the "
               "messages"), "too_large"),
    (400, said("rate limit: maximum context length of all requests"), "bad_request"),
    # words inside of words, and numbers that are no status
    (400, said("cannot generate an operation for this author"), "bad_request"),
    (400, said("field 429 of the schema, row 402"), "bad_request"),
    (400, said("the token is malformed"), "bad_request"),
    (400, said("contexts and windows"), "bad_request"),
    (500, said("unauthorised quotas were overloadedly rated"), "server"),
    # overflow words where nothing can overflow
    (401, said("maximum context length"), "auth"),
    (503, said("maximum context length"), "overloaded"),
]  # fmt: skip


LINES = Path(__file__).with_name("golden_refusals.jsonl").read_text("utf-8").splitlines()
GOLDEN: list[dict[str, Any]] = [json.loads(line) for line in LINES]
"""Real bodies, with whose fault they are and which member of the request they refuse."""


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: str(golden["body"])[:60])
def test_a_real_body_says_whose_fault_it_is(golden: dict[str, Any]) -> None:
    row = row_of(read_refusal(golden["body"], status=golden["status"]))
    found = (row.provider.name, row.category, row.subject, row.member)
    assert found == tuple(golden[name] for name in ("provider", "category", "subject", "member"))
    assert row.certain


@pytest.mark.parametrize(("status", "body", "category"), SAID)
def test_what_providers_say_is_understood(
    status: int | None, body: object, category: ModelCategory
) -> None:
    assert classify(read_refusal(body, status=status)) == category


def test_a_code_decides_before_the_status_and_the_status_before_words() -> None:
    assert classify(Refusal(500, ("insufficient_quota",), "overloaded")) == "quota"
    assert classify(Refusal(401, (), "overloaded, maximum context length")) == "auth"


def test_only_the_beginning_of_a_message_is_looked_at() -> None:
    """Some providers repeat the request behind the reason, and with it what a user wrote."""
    assert classify(Refusal(400, (), "x" * 2000 + " maximum context length")) == "bad_request"


def test_no_word_is_in_two_rows() -> None:
    words = [row.word for row in ROWS if row.word]
    assert len(words) == len(set(words))
    assert all(word == word.lower() for word in words)


def test_each_row_decides_something_that_was_really_said() -> None:
    """A row that decides nothing is dead, one without an example is a rumour."""
    decide = {row_of(read_refusal(body, status=status)) for status, body, _ in SAID}
    decide |= {row_of(read_refusal(one["body"], status=one["status"])) for one in GOLDEN}
    decide.add(row_of(Refusal(400), host="api.cerebras.ai"))
    assert [row for row in ROWS if row not in decide] == []


def test_a_bare_status_means_what_its_host_means_by_it() -> None:
    """Cerebras says of a prompt that is too long nothing at all."""
    assert classify(Refusal(400), host="api.cerebras.ai") == "overflow"
    assert classify(Refusal(413), host="cerebras.ai") == "overflow"
    assert classify(Refusal(413), host="notcerebras.ai") == "too_large"
    assert classify(Refusal(400, (), "unknown field"), host="api.cerebras.ai") == "bad_request"
