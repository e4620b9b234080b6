"""What servers say of themselves, in their own shapes."""

from __future__ import annotations

import pytest

from agents.base.profiles import Told
from agents.models.told import listed, of_props


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"object": "list", "data": [{"id": "m", "max_model_len": 512}]}, [Told("m", 512)]),
        ({"data": [{"id": "m", "context_window": 131_072}]}, [Told("m", 131_072)]),
        ({"data": [{"id": "m", "loaded_context_length": 4096, "max_context_length": 32_768}]},
         [Told("m", 4096)]),
        ({"data": [{"id": "m", "max_context_length": 32_768,
                    "capabilities": {"function_calling": False, "vision": True, "odd": 1}}]},
         [Told("m", 32_768, 0, (("tools", False), ("images", True)))]),
        ({"models": [{"name": "m:latest", "model": "m:latest", "context_length": 4096}]},
         [Told("m:latest", 4096)]),
        ({"data": [{"id": "m"}, {"id": 7}, "m", None]}, [Told("m")]),
        ({"data": [{"id": "m", "context_length": "4096", "capabilities": ["completion"]}]},
         [Told("m")]),
        ({"data": "none"}, []),
        ([], []),
        (None, []),
    ],
)  # fmt: skip
def test_lists_of_models_are_read(body: object, found: list[Told]) -> None:
    assert list(listed(body)) == found


def test_llama_cpp_says_what_its_template_takes_and_how_many_it_serves_at_once() -> None:
    body = {
        "total_slots": 1,
        "default_generation_settings": {"n_ctx": 2048},
        "chat_template_caps": {"supports_tools": False, "supports_system_role": True},
        "modalities": {"vision": False, "audio": False},
    }
    takes = (("tools", False), ("system", True), ("images", False))
    assert of_props(body, "m") == Told("m", 2048, 1, takes)
    assert of_props({"total_slots": "one"}, "m") is None
    assert of_props(None, "m") is None
    assert of_props({"total_slots": 2, "default_generation_settings": []}, "m") == Told("m", 0, 2)
