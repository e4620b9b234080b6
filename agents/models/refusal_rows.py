"""What model servers are known to say when they refuse: one row a fact, kept as data.

`classify` searches it. A row says whose fault a refusal is (its *subject*), what kind it is (its
*category*), and for a member of the request that the server does not take, which one. Each row has
a real body among the golden fixtures of its test.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.core.errors import SUBJECTS, ModelCategory, Subject

Status = int | None
"""None is an error inside a successful response."""


class Source(NamedTuple):
    """Who said it, in which version or month that was seen, and where it is written down."""

    name: str
    seen: str
    at: str


class Row(NamedTuple):
    """One thing a server is known to say.

    `word` is a value of `code`, `type`, `status` or `reason`, in lower case, and leaves no doubt.
    `says` is a pattern in the message, believed at these `statuses`; `param` a pattern of the
    member the server names beside words that refuse it. A row with none of the three is a bare
    status, of any host or of this `host`. `certain` is false where the words explain nothing, so
    that the fault may as well be in the request.
    """

    provider: Source
    category: ModelCategory
    word: str = ""
    says: str = ""
    statuses: tuple[Status, ...] = ()
    host: str = ""
    subject: Subject = "request"
    member: str = ""
    param: str = ""
    certain: bool = True


_DOCS = "2026-11"
ANTHROPIC = Source("Anthropic", _DOCS, "docs.claude.com/en/api/errors")
ANY = Source("several", _DOCS, "HTTP, and what most servers mean by it")
AZURE = Source("Azure", _DOCS, "learn.microsoft.com/azure/ai-foundry/openai")
BEDROCK = Source("Bedrock", _DOCS, "badlogic/pi-mono packages/ai/src/utils/overflow.ts")
CEREBRAS = Source("Cerebras", _DOCS, "badlogic/pi-mono packages/ai/src/utils/overflow.ts")
CLOUDFLARE = Source("Cloudflare", _DOCS, "developers.cloudflare.com/support (52x)")
DASHSCOPE = Source("DashScope", _DOCS, "help.aliyun.com/zh/model-studio/error-code")
DEEPSEEK = Source("DeepSeek", _DOCS, "api-docs.deepseek.com/quick_start/error_codes")
GITHUB = Source("GitHub Models", _DOCS, "docs.github.com/en/github-models")
GOOGLE = Source("Google", _DOCS, "ai.google.dev/gemini-api/docs/troubleshooting")
GROQ = Source("Groq", _DOCS, "console.groq.com/docs/errors")
KIMI = Source("Kimi", _DOCS, "platform.moonshot.ai/docs/api/chat")
LLAMA_CPP = Source("llama.cpp", "xllamacpp 2026.10.11549", "run on this project's own machines")
LM_STUDIO = Source("LM Studio", _DOCS, "lmstudio.ai/docs/api")
MINIMAX = Source("MiniMax", _DOCS, "badlogic/pi-mono packages/ai/src/utils/overflow.ts")
MISTRAL = Source("Mistral", _DOCS, "docs.mistral.ai")
NVIDIA = Source("NVIDIA", _DOCS, "docs.api.nvidia.com")
OLLAMA = Source("Ollama", _DOCS, "ollama/ollama docs/openai.md, server/routes.go")
OPENAI = Source("OpenAI", _DOCS, "platform.openai.com/docs/guides/error-codes")
OPENROUTER = Source("OpenRouter", _DOCS, "openrouter.ai/docs/api/errors")
TEMPLATES = Source(
    "chat templates", _DOCS, "raise_exception in the templates of Llama, Gemma, Mistral"
)
TGI = Source("text-generation-inference", _DOCS, "huggingface/text-generation-inference")
TRANSFORMERS = Source("transformers serve", "5.23.0", "run on this project's own machines")
VLLM = Source("vLLM", "0.32.0", "run on this project's own machines")
VOLCENGINE = Source("Volcengine", _DOCS, "volcengine.com/docs/82379/1299023")
XAI = Source("xAI", _DOCS, "docs.x.ai/docs/key-information/debugging")
ZHIPU = Source("Zhipu", _DOCS, "docs.z.ai/api-reference/api-code")

_MAY_BE_TOO_LONG: tuple[Status, ...] = (400, 413, 422, 500, None)
_MAY_NOT_TAKE: tuple[Status, ...] = (400, 404, 405, 415, 422, 500, 501, None)
_MAY_BE_GONE: tuple[Status, ...] = (400, 403, 404, 410, 422, 500, 503, None)


def _words(provider: Source, category: ModelCategory, *words: str) -> tuple[Row, ...]:
    subject = SUBJECTS[category]
    certain = category != "server"  # "something broke" explains nothing
    return tuple(Row(provider, category, word, subject=subject, certain=certain) for word in words)


def _overflow(provider: Source, *patterns: str) -> tuple[Row, ...]:
    return tuple(
        Row(provider, "overflow", says=pattern, statuses=_MAY_BE_TOO_LONG) for pattern in patterns
    )


def _output(provider: Source, pattern: str) -> Row:
    return Row(provider, "bad_request", says=pattern, statuses=_MAY_BE_TOO_LONG)


def _said(provider: Source, category: ModelCategory, says: str, *statuses: Status) -> Row:
    return Row(provider, category, says=says, statuses=statuses, subject=SUBJECTS[category])


def _gone(provider: Source, *patterns: str) -> tuple[Row, ...]:
    return tuple(
        Row(provider, "not_found", says=pattern, statuses=_MAY_BE_GONE, subject="model")
        for pattern in patterns
    )


def _refuses(provider: Source, member: str, *patterns: str) -> tuple[Row, ...]:
    return tuple(
        Row(provider, "bad_request", says=pattern, statuses=_MAY_NOT_TAKE, member=member)
        for pattern in patterns
    )


def _names(member: str, param: str) -> Row:
    return Row(
        OPENAI, "bad_request", statuses=_MAY_NOT_TAKE, member=member, param=rf"(?:.*\.)?(?:{param})"
    )


def _status(provider: Source, category: ModelCategory, *statuses: Status, host: str = "") -> Row:
    subject = SUBJECTS[category]
    # Busy is a statement about the server; a timeout of a relay may be about this prompt.
    certain = category not in ("timeout", "server")
    return Row(provider, category, statuses=statuses, host=host, subject=subject, certain=certain)


ROWS: tuple[Row, ...] = (
    # --- by a word of the provider ---
    *_words(OPENAI, "overflow", "context_length_exceeded"),
    *_words(ANTHROPIC, "overflow", "model_context_window_exceeded"),
    *_words(LLAMA_CPP, "overflow", "exceed_context_size_error"),
    *_words(ANY, "overflow", "context_window_exceeded"),
    *_words(
        OPENAI,
        "quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "credit_balance_exhausted",
        "insufficient_quota",
        "organization_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "project_spend_limit_exceeded",
    ),
    *_words(ANTHROPIC, "quota", "billing_error"),
    *_words(DASHSCOPE, "quota", "arrearage"),
    *_words(KIMI, "quota", "exceeded_current_quota_error"),
    *_words(VOLCENGINE, "quota", "accountoverdueerror"),
    *_words(ZHIPU, "quota", "1113"),
    *_words(ANY, "quota", "insufficient_balance", "payment_required"),
    *_words(OPENAI, "rate", "rate_limit_exceeded", "slow_down"),
    *_words(ANTHROPIC, "rate", "rate_limit_error"),
    *_words(GOOGLE, "rate", "resource_exhausted"),
    *_words(KIMI, "rate", "rate_limit_reached_error"),
    *_words(MISTRAL, "rate", "1300", "rate_limited"),
    *_words(DASHSCOPE, "rate", "throttling", "throttling.ratequota", "throttling.allocationquota"),
    *_words(ZHIPU, "rate", "1302"),
    *_words(ANY, "rate", "too_many_requests"),
    *_words(OPENAI, "auth", "account_deactivated", "invalid_api_key"),
    *_words(ANTHROPIC, "auth", "authentication_error", "permission_error"),
    *_words(GOOGLE, "auth", "api_key_invalid", "permission_denied", "unauthenticated"),
    *_words(KIMI, "auth", "invalid_authentication_error"),
    *_words(DASHSCOPE, "auth", "invalidapikey"),
    *_words(OPENAI, "not_found", "model_not_found", "model_deprecated"),
    *_words(AZURE, "not_found", "deploymentnotfound"),
    *_words(ANTHROPIC, "not_found", "not_found_error"),
    *_words(GROQ, "not_found", "model_decommissioned", "model_not_active", "model_terms_required"),
    *_words(KIMI, "not_found", "resource_not_found_error"),
    *_words(GITHUB, "not_found", "model_not_supported", "unknown_model", "unavailable_model"),
    *_words(DASHSCOPE, "not_found", "modelnotfound", "model.accessdenied"),
    *_words(VOLCENGINE, "not_found", "modelnotopen", "invalidendpointormodel.notfound"),
    *_words(ZHIPU, "not_found", "1211"),
    *_words(MISTRAL, "not_found", "invalid_model", "1500"),
    *_words(ANY, "not_found", "model_not_available", "model_not_allowed"),
    *_words(ANTHROPIC, "overloaded", "overloaded_error"),
    *_words(GOOGLE, "overloaded", "unavailable"),
    *_words(GROQ, "overloaded", "capacity_exceeded"),
    *_words(KIMI, "overloaded", "engine_overloaded", "engine_overloaded_error"),
    *_words(VOLCENGINE, "overloaded", "serveroverloaded"),
    *_words(ANY, "overloaded", "overloaded", "server_overloaded", "service_unavailable"),
    *_words(OPENAI, "filtered", "content_policy_violation"),
    *_words(AZURE, "filtered", "content_filter", "responsibleaipolicyviolation"),
    *_words(DASHSCOPE, "filtered", "data_inspection_failed", "datainspectionfailed"),
    *_words(ZHIPU, "filtered", "1301"),
    *_words(ANTHROPIC, "too_large", "request_too_large"),
    *_words(ANTHROPIC, "timeout", "timeout_error"),
    *_words(GOOGLE, "timeout", "deadline_exceeded"),
    *_words(ANY, "timeout", "request_timeout", "timeout"),
    *_words(OPENAI, "server", "server_error"),
    *_words(ANTHROPIC, "server", "api_error"),
    *_words(GOOGLE, "server", "internal"),
    *_words(ANY, "server", "internal_server_error"),
    # --- a member of the request, by what the message says of it ---
    *_refuses(
        OPENAI,
        "images",
        r"\bimage_url is only supported by certain models\b",
        r"\binvalid content type\b.{0,40}\bimage",
    ),
    *_refuses(OPENROUTER, "images", r"\bno endpoints found that support image input\b"),
    *_refuses(DEEPSEEK, "images", r"\bunknown variant \W?(?:image_url|input_image|image)\b"),
    *_refuses(VLLM, "images", r"\bis not a multimodal model\b", r"\bat most 0 image\(s\)"),
    *_refuses(LLAMA_CPP, "images", r"\bmmproj\b"),
    *_refuses(
        ANY,
        "images",
        r"\b(?:does ?n[o']t|do not|not) (?:support|accept|allow|take) "
        r"(?:\S+ ){0,2}(?:image|vision|multi-?modal)",
        r"\b(?:images?|image_url|vision|multi-?modal)(?: (?:inputs?|content|messages|urls?))? "
        r"(?:is|are) (?:currently )?(?:not|un)[ -]?(?:supported|allowed|enabled|available)",
    ),
    *_refuses(
        OPENAI,
        "these_images",
        r"\b(?:invalid|unsupported|corrupt|broken|malformed) (?:\S+ )?(?:base64 )?image\b"
        r"|\bunsupported image\b|\bimage (?:data|url|format|type|file)\b.{0,40}"
        r"\b(?:invalid|unsupported|not (?:valid|supported))\b",
    ),
    *_refuses(
        ANTHROPIC,
        "these_images",
        r"\b(?:could not|unable to|cannot|failed to) (?:process|decode|load|read|fetch|download"
        r"|parse|open) (?:\S+ ){0,3}image\b|\bimage exceeds\b",
    ),
    *_refuses(OPENROUTER, "tools", r"\bno endpoints found that support tool use\b"),
    *_refuses(
        OLLAMA,
        "tools",
        r"\b(?:does ?n[o']t|do not|not) (?:support|allow|have) (?:\S+ ){0,2}"
        r"(?:tools?|tool[ _]?(?:use|calls?|calling|choice)|functions?|function[ _]calling)\b",
    ),
    *_refuses(VLLM, "tools", r"\btool choice requires --enable-auto-tool-choice\b"),
    *_refuses(
        ANY,
        "tools",
        r"\b(?:tools?|tool[ _](?:use|calls?|calling|choice)|functions?|function[ _]calling)"
        r"\W?(?: with function calling)? (?:is|are) (?:currently )?(?:not|un)[ -]?"
        r"(?:supported|allowed|enabled|available)",
    ),
    *_refuses(
        TEMPLATES,
        "parallel_calls",
        r"\bonly supports? single tool[ -]calls? at once\b"
        r"|\bparallel (?:tool|function)[ _-]calls?\b.{0,40}\b(?:not|un)[ -]?supported\b",
    ),
    *_refuses(
        TEMPLATES,
        "system",
        r"\bsystem (?:role|messages?|prompts?|instructions?)\b.{0,30}"
        r"\b(?:not|un)[ -]?(?:supported|allowed|enabled)\b",
        r"\bconversation roles must alternate user/assistant",
    ),
    *_refuses(GOOGLE, "system", r"\bdeveloper instruction is not enabled\b"),
    *_refuses(
        OPENAI, "system", r"\bdoes ?n[o']t support \W?(?:system|developer)\W?(?: role| with|$)"
    ),
    # --- what was sent beside an answer, missing, stale or not taken ---
    *_refuses(
        DEEPSEEK,
        "foreign_calls",
        r"\bmissing\b.{0,20}\breasoning_content\b",
        r"\breasoning_content\b.{0,40}\bmust be (?:passed|sent|provided|included)\b",
    ),
    *_refuses(KIMI, "foreign_calls", r"\breasoning_content\b.{0,20}\bis missing\b"),
    *_refuses(GOOGLE, "foreign_calls", r"\bmissing an? .{0,3}thought.?signature\b"),
    *_refuses(
        ANTHROPIC, "foreign_calls", r"\bexpected .{0,3}thinking.{0,3} or .{0,3}redacted_think"
    ),
    *_refuses(
        GOOGLE,
        "these_thoughts",
        r"\b(?:corrupted|invalid|not valid|malformed|expired)\b.{0,20}\bthought.?signature\b"
        r"|\bthought.?signature\b.{0,10}\b(?:is|was) (?:not valid|invalid|corrupted|expired)\b",
    ),
    *_refuses(ANTHROPIC, "these_thoughts", r"\binvalid .{0,3}signature.{0,3} in .{0,3}thinking\b"),
    *_refuses(
        OPENAI,
        "these_thoughts",
        r"\bencrypted content\b.{0,80}\bcould not be (?:verified|decrypted|parsed)\b",
    ),
    *_refuses(GROQ, "thoughts", r"\bproperty .{0,3}reasoning.{0,3} is unsupported\b"),
    # --- a member of the request, named beside words that refuse it; see REFUSING ---
    _names(
        "thoughts",
        "(?:reasoning_(?:content|details|text|opaque)|thinking_blocks|extra_content"
        "|thought_signature|provider_specific_fields)",
    ),
    _names("max_tokens", "max_tokens"),
    _names("max_completion_tokens", "max_completion_tokens"),
    _names("stream_options", "stream_options|include_usage"),
    _names("temperature", "temperature"),
    _names("parallel_calls", "parallel_tool_calls"),
    _names("tools", "tools|tool_choice|functions"),
    # --- the wish for output, by what the message says ---
    _output(OPENAI, r"\bat most \d+ (?:completion|output) tokens\b"),
    _output(ANTHROPIC, r"\bmaximum allowed number of output tokens\b"),
    _output(GROQ, r"\bmax_\w*tokens\W+must be less than or equal to\b"),
    _output(DEEPSEEK, r"\brange of \W?max_\w*tokens\W? (?:is|should be)\b"),
    _output(GOOGLE, r"\bmaxoutputtokens\b.*\(exclusive\)"),
    _output(VLLM, r"\bmax_\w*tokens\b.{0,20}\bcannot be (?:greater|larger) than\b"),
    # --- by what the message says ---
    *_overflow(OPENAI, r"\bmaximum context length\b"),
    *_overflow(ANY, r"\bexceeds? (?:the )?(?:\S+ ){0,3}context (?:length|window|size|limit)\b"),
    *_overflow(ANTHROPIC, r"\bprompt is too long\b"),
    *_overflow(VLLM, r"\bcontext length is only \d+", r"\bmax_tokens must be at least 1, got -"),
    *_overflow(
        LM_STUDIO,
        r"\bgreater than the context length\b",
        r"\bloaded with (?:an? )?context length of only \d+",
    ),
    *_overflow(DASHSCOPE, r"\brange of \W?(?:input|prompt)\W? length (?:is|should be) \[\d+, ?\d+"),
    *_overflow(GROQ, r"\breduce the length of the (?:messages|prompt|input)\b"),
    *_overflow(GOOGLE, r"\binput token count\b.*\bexceeds\b"),
    *_overflow(XAI, r"\bmaximum prompt length is \d+"),
    *_overflow(KIMI, r"\bexceeded model token limit\b"),
    *_overflow(MINIMAX, r"\bcontext window exceeds limit\b"),
    *_overflow(BEDROCK, r"\binput is too long for requested model\b"),
    *_overflow(TGI, r"\bmax_new_tokens\W? must be <= \d+"),
    *_gone(GROQ, r"\bmodel\b.{0,80}\bdecommissioned\b"),
    *_gone(OPENROUTER, r"\bis not a valid model\b", r"\bno endpoints found for\b"),
    *_gone(DEEPSEEK, r"\bmodel (?:does )?not exist\b"),
    *_gone(LM_STUDIO, r"\bmodel (?:was )?(?:unloaded|not loaded)\b|\bno models? loaded\b"),
    *_gone(VLLM, r"\bmodel \S+ does not exist\b"),
    *_gone(OLLAMA, r"\bmodel \S+ not found\b"),
    *_gone(TRANSFORMERS, r"\bserver is pinned to\b"),
    *_gone(NVIDIA, r"\bend of (?:its )?life\b"),
    *_gone(
        ANY,
        r"\b(?:unknown|invalid|unrecognized|unsupported|no such) model\b"
        r"(?! (?:input|output|parameter|setting))",
        r"\bmodel\b.{0,80}\b(?:deprecated|retired|discontinued|shut down|sunset"
        r"|no longer (?:supported|available|served|hosted))\b",
        r"\b(?:requested|specified|provided|given) model\b.{0,80}\b(?:is|was) not "
        r"(?:supported|available|found|valid)\b|\bmodel identifier is invalid\b",
        r"\b(?:no|not have|without) (?:access|permission) to (?:the )?model\b",
    ),
    _said(OPENAI, "quota", r"\bexceeded your current quota\b", 400, 403, 429, None),
    _said(DEEPSEEK, "quota", r"\binsufficient (?:balance|credits?|funds)\b", 400, 403, 429, None),
    _said(
        ANTHROPIC,
        "quota",
        r"\bcredit balance is too low\b|\bspend(?:ing)? limit\b",
        *(400, 403, 429, None),
    ),
    _said(
        DASHSCOPE,
        "quota",
        r"\baccount is in (?:good standing|arrears)\b|\boverdue (?:bill|payment|balance)",
        *(400, 403, 429, None),
    ),
    _said(XAI, "quota", r"\bused all available credits\b", 400, 403, 429, None),
    _said(OPENROUTER, "quota", r"\bkey limit exceeded\b", 400, 402, 403, 429, None),
    _said(
        GOOGLE,
        "auth",
        r"\bapi[ _-]?key (?:is )?(?:not valid|invalid|expired|suspended)\b",
        400,
        None,
    ),
    _said(GOOGLE, "auth", r"\buser location is not supported\b", 400, None),
    _said(ANY, "auth", r"\baccount (?:has been|is|was) (?:suspended|disabled|banned)\b", 400, 412),
    _said(
        AZURE, "filtered", r"\bcontent (?:management )?policy\b|\bcontent filter", 400, 403, None
    ),
    _said(OPENROUTER, "filtered", r"\bmoderation\b", 400, 403, None),
    _said(OPENROUTER, "overloaded", r"\bprovider returned error\b", 502),
    _said(ANY, "overloaded", r"\boverloaded\b", 500, None),
    _said(ANY, "rate", r"\brate[ _-]?limit|\btoo many requests\b", None),
    # --- by nothing but the status ---
    _status(CEREBRAS, "overflow", 400, 413, host="cerebras.ai"),
    _status(ANY, "auth", 401, 403),
    _status(ANY, "quota", 402),
    _status(ANY, "not_found", 404, 410),
    _status(ANY, "timeout", 408, 504),
    _status(ANY, "too_large", 413),
    _status(ANY, "rate", 429),
    _status(GROQ, "overloaded", 498),
    _status(ANTHROPIC, "overloaded", 529),
    _status(CLOUDFLARE, "timeout", 522, 524),
    _status(ANY, "overloaded", 503),
)

ABOVE_A_MINUTE = Row(GROQ, "overflow")
"""The request alone exceeds the tokens per minute of its key, as the numbers say."""
REDIRECTED = Row(ANY, "not_found", subject="model")
"""Redirects are not followed: the address is wrong."""
OUR_FAULT = Row(ANY, "bad_request", certain=False)
"""Any other 4xx."""
THEIR_FAULT = Row(ANY, "server", subject="server", certain=False)
"""Everything else."""
