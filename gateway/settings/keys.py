"""Further keys of model servers, each with what is said of it under its number."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gateway.settings.section import CommaList

OPENAI_HOST = "api.openai.com"
OPENAI_URL = f"https://{OPENAI_HOST}/v1"
MAX_KEYS = 99

LimitName = Literal["", "max_tokens", "max_completion_tokens", "none"]


class NumberedKey(BaseModel):
    """One further key: `LLM_API_KEY_1` and what is said of it under the same number."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, str_strip_whitespace=True)

    number: int
    api_key: SecretStr = Field(SecretStr(""), description="A further key.")
    base_url: str = Field(
        "", description="Where that key belongs; default: `LLM_BASE_URL`.", examples=[OPENAI_URL]
    )
    models: CommaList = Field(
        (),
        description="The models that server has; default: any, or `LLM_MODELS` where it is the "
        "same server.",
        examples=["small,large"],
    )
    tools: bool | None = Field(
        None,
        description="Whether it takes tools; default: true, or `LLM_TOOLS` where it is the same "
        "server.",
        examples=[False],
    )
    images: bool | None = Field(
        None,
        description="Whether it takes images; default: true, or `LLM_IMAGES` where it is the same "
        "server.",
        examples=[False],
    )
    stream_options: bool | None = Field(
        None,
        description="Whether it takes `stream_options`; default as for `LLM_TOOLS`.",
        examples=[False],
    )
    system_role: bool | None = Field(
        None,
        description="Whether it takes a system message; default as for `LLM_TOOLS`.",
        examples=[False],
    )
    parallel_calls: bool | None = Field(
        None,
        description="Whether it takes several tool calls in one message; default as for "
        "`LLM_TOOLS`.",
        examples=[False],
    )
    limit_name: LimitName = Field(
        "",
        description="What it calls the output limit; default: `LLM_LIMIT_NAME` where it is the "
        "same server.",
        examples=["max_completion_tokens"],
    )
    context_window: int = Field(
        0,
        ge=0,
        description="How many tokens its models take; default: `LLM_CONTEXT_WINDOW`.",
        examples=[32768],
    )
    output_limit: int = Field(
        0,
        ge=0,
        description="How many tokens an answer of its models may have; default: "
        "`LLM_OUTPUT_LIMIT` where it is the same server.",
        examples=[8192],
    )
    simultaneous_requests: int = Field(
        0,
        ge=0,
        description="Maximum of requests sent with it at a time; default: "
        "`LLM_SIMULTANEOUS_REQUESTS` where it is the same server.",
        examples=[4],
    )
    proxy: SecretStr = Field(
        SecretStr(""),
        description="Proxy on the way to it; default: none, or `LLM_PROXY` where it is the same "
        "server.",
    )
    requests_per_minute: int = Field(
        0,
        ge=0,
        description="Maximum requests a minute to one of its models; default: "
        "`LLM_REQUESTS_PER_MINUTE` where it is the same server.",
        examples=[60],
    )
    tokens_per_minute: int = Field(
        0,
        ge=0,
        description="Maximum tokens a minute, prompts and answers; default: "
        "`LLM_TOKENS_PER_MINUTE` where it is the same server.",
        examples=[100000],
    )

    def __str__(self) -> str:
        return f"LLM_API_KEY_{self.number} ({'set' if self.api_key else 'not set'})"
