"""Which models a newcomer could use: keys in the environment, servers on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.cli.model_servers import LOCAL, Listing

PROVIDERS = {
    "OPENAI_API_KEY": ("OpenAI", "https://api.openai.com/v1"),
    "OPENROUTER_API_KEY": ("OpenRouter", "https://openrouter.ai/api/v1"),
    "GROQ_API_KEY": ("Groq", "https://api.groq.com/openai/v1"),
    "MISTRAL_API_KEY": ("Mistral", "https://api.mistral.ai/v1"),
    "DEEPSEEK_API_KEY": ("DeepSeek", "https://api.deepseek.com/v1"),
}
"""Variables other programs read, and where such a key belongs."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One way to have a real model. `variable` holds its key; empty where none is needed."""

    name: str
    base_url: str
    models: tuple[str, ...] = ()
    variable: str = ""

    @property
    def told(self) -> str:
        """One line for a person."""
        if self.variable:
            return f"{self.name}, {self.variable} is set"
        has = ", ".join(self.models[:4]) + (", …" if len(self.models) > 4 else "")
        return f"{self.name} at {self.base_url} has {has or 'no model yet'}"


def offers(environ: Mapping[str, str], found: Sequence[Listing]) -> list[Offer]:
    """What is there, without a key first: it costs nothing."""
    servers = [
        Offer(LOCAL.get(urlsplit(each.base_url).port or 0, "a server"), each.base_url, each.models)
        for each in found
    ]
    servers.sort(key=lambda offer: not offer.models)
    keys = [
        Offer(name, url, variable=variable)
        for variable, (name, url) in PROVIDERS.items()
        if environ.get(variable, "").strip()
    ]
    return [*servers, *keys]
