"""What could answer: servers on this machine first, then keys."""

from __future__ import annotations

from gateway.cli.init.finding import PROVIDERS, offers
from gateway.cli.model_servers import Listing


def test_servers_with_models_come_first_and_keys_last() -> None:
    found = offers(
        {"OPENAI_API_KEY": "sk-1", "GROQ_API_KEY": " "},
        [
            Listing("http://127.0.0.1:8000/v1"),
            Listing("http://127.0.0.1:11434/v1", ("a", "b", "c", "d", "e")),
        ],
    )
    assert [offer.told for offer in found] == [
        "Ollama at http://127.0.0.1:11434/v1 has a, b, c, d, …",
        "vLLM at http://127.0.0.1:8000/v1 has no model yet",
        "OpenAI, OPENAI_API_KEY is set",
    ]


def test_no_key_is_in_an_offer() -> None:
    assert "sk-1" not in repr(offers(dict.fromkeys(PROVIDERS, "sk-1"), []))
    assert all(url.startswith("https://") for _, url in PROVIDERS.values())
