"""Who answers: the model, its server and keys, and what is known of them beforehand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from gateway.core.trust import named_authorities
from gateway.settings.keys import OPENAI_HOST, OPENAI_URL, LimitName, NumberedKey
from gateway.settings.section import CommaList, Section, is_address


class ModelSettings(Section):
    """See the module."""

    title = "Models and their servers"

    turngate_model: Literal["auto", "local", "scripted", "openai"] = Field(
        "auto",
        description="`auto` is `openai` when any LLM setting is there, else `local`.",
        examples=["openai"],
    )
    turngate_profile_strategy: Literal["ordered", "round_robin"] = Field(
        "ordered",
        description="Which key a new conversation starts with: the first that can answer, or "
        "each in turn.",
        examples=["round_robin"],
    )
    llm_model: str = Field(
        "",
        description="Name of the model, as its provider spells it.",
        examples=["name-of-the-model"],
    )
    llm_base_url: str = Field(
        "",
        description="Where an OpenAI-compatible server listens, up to and with `/v1`.",
        examples=["http://127.0.0.1:11434/v1"],
    )
    llm_api_key: SecretStr = Field(SecretStr(""), description="Key for that server.")
    openai_api_key: SecretStr = Field(
        SecretStr(""),
        description="Key for OpenAI itself, where `LLM_API_KEY` is not set; sent nowhere else, and "
        "used only once `LLM_MODEL` is set.",
    )
    llm_models: CommaList = Field(
        (),
        description="The models that server has, where fallbacks are at others; default: any.",
        examples=["name-of-the-model"],
    )
    llm_fallback_models: CommaList = Field(
        (),
        description="Models to ask when `LLM_MODEL` cannot answer, in order.",
        examples=["another-model,a-small-one"],
    )
    llm_context_window: int = Field(
        0,
        ge=0,
        description="How many tokens the models take; 0 means that it is learnt from the server.",
        examples=[32768],
    )
    llm_tools: bool = Field(
        True,
        description="Whether that server takes tools; unless set, it is learnt from what the "
        "server says and refuses. So are the next four.",
        examples=[False],
    )
    llm_images: bool = Field(
        True, description="Whether that server takes images.", examples=[False]
    )
    llm_stream_options: bool = Field(
        True, description="Whether that server takes `stream_options`.", examples=[False]
    )
    llm_system_role: bool = Field(
        True,
        description="Whether that server takes a system message; otherwise its text goes before "
        "the first message of the user.",
        examples=[False],
    )
    llm_parallel_calls: bool = Field(
        True,
        description="Whether that server takes several tool calls in one message.",
        examples=[False],
    )
    llm_limit_name: LimitName = Field(
        "",
        description="What that server calls the output limit: `max_tokens` or "
        "`max_completion_tokens`; `none` leaves it out, and unset means that it is learnt.",
        examples=["max_completion_tokens"],
    )
    llm_output_limit: int = Field(
        0,
        ge=0,
        description="How many tokens an answer of its models may have; 0 means that it is learnt "
        "from the server.",
        examples=[8192],
    )
    llm_simultaneous_requests: int = Field(
        0,
        ge=0,
        description="Maximum of requests sent with that key at a time, the others wait in a fair "
        "line; 0 means that it is learnt from the server.",
        examples=[4],
    )
    llm_requests_per_minute: int = Field(
        0,
        ge=0,
        description="Maximum requests a minute with that key to one model, where the server does "
        "not say in its headers what is left; 0 means no bound.",
        examples=[60],
    )
    llm_tokens_per_minute: int = Field(
        0,
        ge=0,
        description="Maximum tokens a minute with that key of one model, prompts and answers.",
        examples=[100000],
    )
    llm_ca_file: Path | None = Field(
        None,
        description="Certificate authorities in PEM form that are trusted beside the system's, for "
        "a model server of your own; `SSL_CERT_FILE`, `SSL_CERT_DIR`, `REQUESTS_CA_BUNDLE` and "
        "`CURL_CA_BUNDLE` are added too.",
        examples=["/etc/ssl/company-ca.pem"],
    )
    llm_proxy: SecretStr = Field(
        SecretStr(""),
        description="Proxy on the way to that server, as `http://user:password@host:port`; "
        "`HTTP_PROXY` and its like are not looked at, as they would send a model on this machine "
        "through a proxy.",
    )
    llm_keys: tuple[NumberedKey, ...] = Field((), description="Further keys, by their numbers.")

    @property
    def provider(self) -> Literal["local", "scripted", "openai"]:
        """Who answers; `openai` is any OpenAI-compatible server."""
        if self.turngate_model != "auto":
            return self.turngate_model
        key = self.llm_api_key.get_secret_value()
        given = self.llm_model or self.llm_base_url or key or self.llm_keys
        return "openai" if given else "local"

    @property
    def uses_openai(self) -> bool:
        """Whether turns go to an OpenAI-compatible server."""
        return self.provider == "openai"

    @property
    def answering(self) -> str:
        """The model's name: the provider's own, or which of ours it is."""
        return self.llm_model if self.uses_openai else self.provider

    @property
    def model_key(self) -> str:
        """The key the model server gets; OpenAI's own goes to OpenAI only."""
        own = self.llm_api_key.get_secret_value()
        if own or not _is_openai(self.llm_base_url or OPENAI_URL):
            return own
        return self.openai_api_key.get_secret_value()

    @property
    def authorities(self) -> tuple[Path, ...]:
        """Files and folders of certificate authorities that are trusted beside the system's."""
        own = (self.llm_ca_file,) if self.llm_ca_file else ()
        return (*own, *named_authorities(os.environ))

    def elsewhere(self, key: NumberedKey) -> bool:
        """Whether a key belongs to another server than the first: nothing said of that holds."""
        return key.base_url not in ("", self.llm_base_url or OPENAI_URL)

    def problems(self) -> dict[str, str]:
        problems: dict[str, str] = {}
        addresses = {"llm_base_url": self.llm_base_url}
        addresses |= {f"llm_base_url_{key.number}": key.base_url for key in self.llm_keys}
        for name, url in addresses.items():
            if not is_address(url, "http", "https"):
                problems[name] = "should be an address like http://127.0.0.1:11434/v1"
        if not self.uses_openai:
            return problems
        if not self.llm_model:
            problems["llm_model"] = "missing, although another LLM setting is there"
        elif all(models and self.llm_model not in models for models in self._models_by_key()):
            problems["llm_model"] = (
                "no key has this model; add it to LLM_MODELS, or to those of a numbered key"
            )
        if not self.llm_base_url and not self.model_key and not self.llm_keys:
            problems["llm_api_key"] = "missing; or set LLM_BASE_URL to a server without keys"
        for key in self.llm_keys:
            if not key.base_url and not key.api_key.get_secret_value():
                problems[f"llm_api_key_{key.number}"] = "missing"
        return problems

    def _models_by_key(self) -> list[tuple[str, ...]]:
        """The models each key is asked for; none means any."""
        first = self.model_key or not self.llm_keys
        return [
            *([self.llm_models] if first else []),
            *(
                key.models or (() if self.elsewhere(key) else self.llm_models)
                for key in self.llm_keys
            ),
        ]


def _is_openai(url: str) -> bool:
    """Over TLS alone: the key of OpenAI crosses no network in clear."""
    try:
        parts = urlsplit(url)
        return (parts.scheme, parts.hostname, parts.port or 443) == ("https", OPENAI_HOST, 443)
    except ValueError:  # a port that is no number
        return False
