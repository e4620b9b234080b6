"""Faults in a status code: what providers answer with when they refuse."""

from __future__ import annotations

from email.utils import formatdate

from gateway.simulate.answers import HTML, JSON, Raw, document, refusal
from gateway.simulate.fault import Fault

BAD_GATEWAY = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"


def _in_half_a_minute(now_ms: int) -> Raw:
    date = formatdate(now_ms // 1000 + 30, usegmt=True)
    return refusal(429, {"message": "later", "code": "rate_limit_exceeded"}, retry_after=date)


RATE = (
    Fault(
        "rate-limit",
        "rate",
        "429 rate_limit_exceeded, no hint when to come back",
        refusal(
            429,
            {
                "message": "Rate limit reached for requests",
                "type": "requests",
                "code": "rate_limit_exceeded",
            },
        ),
    ),
    Fault(
        "rate-limit-seconds",
        "rate",
        "429 with Retry-After: 7",
        refusal(429, {"message": "slow down", "code": "rate_limit_exceeded"}, retry_after="7"),
        retry_after_ms=7_000,
    ),
    Fault(
        "rate-limit-ms",
        "rate",
        "429 with retry-after-ms: 1500 beside Retry-After: 7 (Azure)",
        refusal(429, {"message": "slow down"}, retry_after_ms="1500", retry_after="7"),
        retry_after_ms=1_500,
    ),
    Fault(
        "rate-limit-date",
        "rate",
        "429 with a Retry-After date half a minute ahead",
        _in_half_a_minute,
        retry_after_ms=30_000,
    ),
    Fault(
        "rate-limit-zero",
        "rate",
        "429 with Retry-After: 0",
        refusal(429, {"message": "slow down"}, retry_after="0"),
        retry_after_ms=0,
    ),
    Fault(
        "rate-limit-hour",
        "rate",
        "429 with Retry-After: 3600",
        refusal(429, {"message": "slow down"}, retry_after="3600"),
        retry_after_ms=3_600_000,
    ),
    Fault(
        "rate-limit-garbage",
        "rate",
        "429 with Retry-After: soon",
        refusal(429, {"message": "slow down"}, retry_after="soon"),
    ),
    Fault("rate-limit-empty", "rate", "429 without body or hint", Raw((), 429, {})),
    Fault(
        "rate-limit-delay",
        "rate",
        "429 RESOURCE_EXHAUSTED with RetryInfo in the body (Gemini)",
        document(
            [
                {
                    "error": {
                        "code": 429,
                        "message": "Resource has been exhausted",
                        "status": "RESOURCE_EXHAUSTED",
                        "details": [
                            {
                                "@type": "type.googleapis.com/google.rpc.RetryInfo",
                                "retryDelay": "17.5s",
                            }
                        ],
                    }
                }
            ],
            status=429,
        ),
        retry_after_ms=17_500,
    ),
    Fault(
        "rate-limit-tokens",
        "rate",
        "429 for tokens a minute; the text speaks of lengths too",
        refusal(
            429,
            {
                "message": "Request too large on tokens per min (TPM): Limit 30000, Requested "
                "41000. Please reduce the length of the messages.",
                "type": "tokens",
                "code": "rate_limit_exceeded",
            },
        ),
    ),
    Fault(
        "rate-limit-day",
        "rate",
        "429 for tokens a day with Retry-After: 432 (Groq)",
        refusal(
            429,
            {
                "message": "Rate limit reached on tokens per day (TPD): Limit 100000, Used 99991. "
                "Please try again in 7m12s.",
                "type": "tokens",
                "code": "rate_limit_exceeded",
            },
            retry_after="432",
        ),
        retry_after_ms=432_000,
    ),
    Fault(
        "rate-limit-flat",
        "rate",
        "429 with a flat body (Mistral)",
        document(
            {
                "object": "error",
                "message": "Requests rate limit exceeded",
                "type": "rate_limited",
                "param": None,
                "code": "1300",
            },
            status=429,
        ),
    ),
    Fault(
        "slow-down",
        "rate",
        "503 slow_down (OpenAI)",
        refusal(503, {"message": "Slow down", "code": "slow_down"}),
    ),
)

QUOTA = (
    Fault(
        "quota",
        "quota",
        "429 insufficient_quota: the account is out of money (OpenAI)",
        refusal(
            429,
            {
                "message": "You exceeded your current quota, please check your plan and billing.",
                "type": "insufficient_quota",
                "code": "insufficient_quota",
            },
        ),
    ),
    Fault(
        "quota-spend-limit",
        "quota",
        "429 project_spend_limit_exceeded (OpenAI)",
        refusal(429, {"message": "Spend limit.", "code": "project_spend_limit_exceeded"}),
    ),
    Fault("payment", "quota", "402 no credits", refusal(402, {"message": "no credits"})),
    Fault(
        "balance",
        "quota",
        "402 Insufficient Balance (DeepSeek)",
        refusal(402, {"message": "Insufficient Balance", "type": "unknown_error"}),
    ),
    Fault(
        "spend-limit",
        "quota",
        "400 about a spend limit (Anthropic)",
        refusal(
            400,
            {
                "type": "invalid_request_error",
                "message": "You have reached your specified API spend limit.",
            },
        ),
    ),
)

AUTH = (
    Fault(
        "auth",
        "auth",
        "401 invalid_api_key",
        refusal(401, {"message": "Incorrect API key provided", "code": "invalid_api_key"}),
    ),
    Fault(
        "auth-list",
        "auth",
        "400 in a list: API key not valid (Gemini)",
        document([{"error": {"message": "API key not valid", "code": 400}}], status=400),
    ),
    Fault(
        "forbidden",
        "auth",
        "403 country not supported",
        refusal(403, {"message": "Country, region, or territory not supported"}),
    ),
)

REFUSED = (
    Fault(
        "bad-request",
        "bad_request",
        "400 unknown field",
        refusal(400, {"message": "unknown field", "type": "invalid_request_error"}),
    ),
    Fault(
        "not-found",
        "not_found",
        "404 model_not_found",
        refusal(404, {"message": "The model does not exist", "code": "model_not_found"}),
    ),
    Fault(
        "not-found-deployment",
        "not_found",
        "404 DeploymentNotFound (Azure)",
        refusal(404, {"message": "no such deployment", "code": "DeploymentNotFound"}),
    ),
    Fault(
        "not-found-text",
        "not_found",
        "404 whose error is a text (Ollama)",
        refusal(404, "model 'x' not found"),
    ),
    Fault("request-timeout", "timeout", "408 from the provider", refusal(408, {"message": "slow"})),
    Fault("conflict", "bad_request", "409", refusal(409, {"message": "conflict"})),
    Fault(
        "too-large",
        "too_large",
        "413 request_too_large: too many bytes (Anthropic)",
        refusal(413, {"type": "request_too_large", "message": "Request exceeds the maximum size"}),
    ),
    Fault("unprocessable", "bad_request", "422", refusal(422, {"message": "invalid parameters"})),
    Fault(
        "filtered",
        "filtered",
        "400 content_filter (Azure)",
        refusal(
            400,
            {"message": "The response was filtered", "code": "content_filter", "status": 400},
        ),
    ),
    Fault(
        "moderated",
        "filtered",
        "403 flagged by moderation (OpenRouter)",
        refusal(403, {"message": "Your input was flagged by moderation", "code": 403}),
    ),
    Fault(
        "redirect",
        "not_found",
        "307 to another path",
        Raw((), 307, {"location": "/v1/elsewhere"}),
    ),
)

BROKEN = (
    Fault(
        "capacity",
        "overloaded",
        "498 capacity_exceeded (Groq)",
        refusal(498, {"message": "flex capacity", "code": "capacity_exceeded"}),
    ),
    Fault(
        "server",
        "server",
        "500 server_error",
        refusal(500, {"message": "The server had an error", "type": "server_error"}),
    ),
    Fault(
        "server-api-error",
        "server",
        "500 api_error (Anthropic)",
        refusal(500, {"message": "Internal server error", "type": "api_error"}),
    ),
    Fault("server-empty", "server", "500 without a body", Raw((), 500, {})),
    Fault("bad-gateway", "server", "502 with a web page", Raw((BAD_GATEWAY,), 502, HTML)),
    Fault(
        "unavailable",
        "overloaded",
        "503 Loading model (llama.cpp)",
        refusal(503, {"message": "Loading model", "type": "unavailable_error", "code": 503}),
    ),
    Fault(
        "unavailable-seconds",
        "overloaded",
        "503 with Retry-After: 3",
        refusal(503, {"message": "unavailable"}, retry_after="3"),
        retry_after_ms=3_000,
    ),
    Fault(
        "unavailable-text",
        "overloaded",
        "503 whose body is a bare text (a proxy)",
        document("upstream connect error", status=503),
    ),
    Fault(
        "overloaded",
        "overloaded",
        "529 overloaded_error (Anthropic)",
        refusal(529, {"type": "overloaded_error", "message": "Overloaded"}),
    ),
    Fault("gateway-timeout", "timeout", "504 with a web page", Raw((BAD_GATEWAY,), 504, HTML)),
    Fault(
        "error-endless",
        "bad_response",
        "500 with a body of 60 MB",
        Raw((b"x" * (1 << 20),) * 60, 500, JSON),
    ),
)

STATUS = (*RATE, *QUOTA, *AUTH, *REFUSED, *BROKEN)
