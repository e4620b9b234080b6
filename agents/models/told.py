"""What servers say of their models when they are asked, in the shapes they say it in. Pure.

`/v1/models` names windows under five names; llama.cpp's `/props` also says how many requests it
works on at once and what its chat template takes; Ollama's `/api/ps` says what is loaded, and its
`/api/show` what a model can do; LM Studio's `/api/v0/models` says both. Nothing is trusted: what is
not understood is not there.
"""

from __future__ import annotations

import re
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
TYPES = {"vlm": True, "llm": False}
"""Whether a kind of model of LM Studio takes images."""
NUM_CTX = re.compile(r"^num_ctx\s+(\d{1,9})\s*$", re.MULTILINE)
"""The window a model of Ollama is loaded with, in the text of its parameters."""
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
            takes = dict(_taken(entry.get("capabilities"), CAPABILITIES))
            kind = entry.get("type")
            if isinstance(kind, str) and kind in TYPES:
                takes["images"] = TYPES[kind]
            yield Told(name, window, 0, tuple(takes.items()))


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


def of_show(body: object, model: str, loaded: int) -> Told | None:
    """One model of Ollama, which is `loaded` with this window, 0 where it is not loaded.

    A window that is set for the model counts more than the one it was trained with.
    """
    if not isinstance(body, dict) or not isinstance(able := body.get("capabilities"), list):
        return None
    info, said = body.get("model_info"), body.get("parameters")
    found = NUM_CTX.search(said) if isinstance(said, str) else None
    trained = (
        size
        for name, value in (info.items() if isinstance(info, dict) else ())
        if name.endswith(".context_length") and (size := plausible(value))
    )
    window = loaded or (plausible(int(found[1])) if found else 0) or next(trained, 0)
    return Told(model, window, 0, (("tools", "tools" in able), ("images", "vision" in able)))


def _taken(said: Any, words: dict[str, str]) -> Iterator[tuple[str, bool]]:
    for word, member in words.items() if isinstance(said, dict) else ():
        if isinstance(takes := said.get(word), bool):
            yield member, takes
