"""What servers say of their models when they are asked, in the shapes they say it in. Pure.

`/v1/models` names windows under five names; llama.cpp's `/props` also says how many requests it
works on at once and what its chat template takes; Ollama's `/api/ps` says what is loaded. Nothing
is trusted: what is not understood is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agents.base.profiles import Told
from agents.models.sizes import plausible

WINDOWS = (
    "max_model_len",  # vLLM
    "loaded_context_length",  # LM Studio
    "context_window",  # Groq
    "max_context_length",  # Mistral
    "context_length",  # OpenRouter, Together, Ollama's /api/ps
)
CAPABILITIES = {"function_calling": "tools", "vision": "images"}
"""Mistral's words."""
TEMPLATE_CAPS = {
    "supports_tools": "tools",
    "supports_parallel_tool_calls": "parallel_calls",
    "supports_system_role": "system",
}
"""llama.cpp's words."""
MAX_MODELS = 2000
"""Entries of a list that are looked at; the longest public one has 500."""


def listed(body: object) -> Iterator[Told]:
    """The models of a list, as OpenAI, Ollama and those like them write it."""
    value = body if isinstance(body, dict) else {}
    entries = value.get("data") or value.get("models")
    for entry in entries[:MAX_MODELS] if isinstance(entries, list) else []:
        name = (entry.get("id") or entry.get("model")) if isinstance(entry, dict) else None
        if isinstance(name, str) and name:
            window = next((size for key in WINDOWS if (size := plausible(entry.get(key)))), 0)
            yield Told(name, window, 0, tuple(_taken(entry.get("capabilities"), CAPABILITIES)))


def of_props(body: object, model: str) -> Told | None:
    """The one model of a llama.cpp server; None where this is not one."""
    if not isinstance(body, dict) or not isinstance(slots := body.get("total_slots"), int):
        return None
    settings = body.get("default_generation_settings")
    window = plausible(settings.get("n_ctx")) if isinstance(settings, dict) else 0
    takes = [
        *_taken(body.get("chat_template_caps"), TEMPLATE_CAPS),
        *_taken(body.get("modalities"), {"vision": "images"}),
    ]
    return Told(model, window, max(slots, 0), tuple(takes))


def _taken(said: Any, words: dict[str, str]) -> Iterator[tuple[str, bool]]:
    for word, member in words.items() if isinstance(said, dict) else ():
        if isinstance(takes := said.get(word), bool):
            yield member, takes
