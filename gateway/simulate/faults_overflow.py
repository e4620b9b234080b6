"""Faults of a conversation too long for its model, in the words of each provider."""

from __future__ import annotations

from gateway.simulate.answers import Raw, document, refusal
from gateway.simulate.fault import Fault


def _said(name: str, who: str, message: str, *, status: int = 400, **more: object) -> Fault:
    error = {"message": message, "type": "invalid_request_error", **more}
    return Fault(
        f"overflow-{name}", "overflow", f"{status} in words ({who})", refusal(status, error)
    )


OVERFLOW = (
    Fault(
        "overflow",
        "overflow",
        "400 context_length_exceeded (OpenAI)",
        refusal(
            400,
            {
                "message": "This model's maximum context length is 8192 tokens. However, your "
                "messages resulted in 9001 tokens.",
                "type": "invalid_request_error",
                "param": "messages",
                "code": "context_length_exceeded",
            },
        ),
    ),
    _said("window", "OpenAI", "Your input exceeds the context window of this model."),
    _said("anthropic", "Anthropic", "prompt is too long: 201000 tokens > 200000 maximum"),
    _said(
        "output",
        "Anthropic",
        "input length and `max_tokens` exceed context limit: 190000 + 16000 > 200000",
    ),
    Fault(
        "overflow-vllm",
        "overflow",
        "400 BadRequestError (vLLM)",
        document(
            {
                "object": "error",
                "message": "This model's maximum context length is 4096 tokens. However, you "
                "requested 5000 tokens.",
                "type": "BadRequestError",
                "param": "input_tokens",
                "code": 400,
            },
            status=400,
        ),
    ),
    _said(
        "vllm-new",
        "vLLM 0.16",
        "You passed 5000 input tokens, but the model's context length is only 4096 tokens.",
        code=400,
    ),
    Fault(
        "overflow-llamacpp",
        "overflow",
        "400 exceed_context_size_error with n_ctx (llama.cpp)",
        refusal(
            400,
            {
                "code": 400,
                "message": "the request exceeds the available context size, try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 5000,
                "n_ctx": 4096,
            },
        ),
    ),
    Fault(
        "overflow-text",
        "overflow",
        "400 whose error is a text (LM Studio)",
        refusal(
            400,
            "Trying to keep the first 5000 tokens when context the overflows. However, the number "
            "of tokens is greater than the context length.",
        ),
    ),
    _said(
        "openrouter",
        "OpenRouter",
        "This endpoint's maximum context length is 32768 tokens. However, you requested about "
        "40000 tokens.",
        code=400,
    ),
    _said(
        "groq",
        "Groq",
        "Please reduce the length of the messages or completion.",
        status=413,
    ),
    Fault(
        "overflow-list",
        "overflow",
        "400 INVALID_ARGUMENT in a list (Gemini)",
        document(
            [
                {
                    "error": {
                        "code": 400,
                        "message": "The input token count (1200000) exceeds the maximum number of "
                        "tokens allowed (1048576).",
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ],
            status=400,
        ),
    ),
    Fault(
        "overflow-flat",
        "overflow",
        "400 with a flat body (Mistral)",
        document(
            {
                "object": "error",
                "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum "
                "context length",
                "type": "invalid_request_prompt",
                "code": "3051",
            },
            status=400,
        ),
    ),
    _said(
        "xai",
        "xAI",
        "This model's maximum prompt length is 131072 but the request contains 140000 tokens.",
    ),
    _said("kimi", "Kimi", "Your request exceeded model token limit: 131072"),
    _said("minimax", "MiniMax", "invalid params, context window exceeds limit"),
    _said("bedrock", "Bedrock", "Input is too long for requested model."),
    Fault("overflow-empty", "overflow", "400 without a body (Cerebras)", Raw((), 400, {})),
)
