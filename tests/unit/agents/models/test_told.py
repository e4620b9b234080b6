"""What servers say of themselves, in their own shapes."""

from __future__ import annotations

import pytest

from agents.base.profiles import Told
from agents.models.told import listed, of_props, of_show


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
        # LM Studio's /api/v0/models
        ({"data": [{"id": "m", "type": "vlm", "state": "loaded", "loaded_context_length": 8192,
                    "max_context_length": 32_768, "capabilities": ["tool_use"]}]},
         [Told("m", 8192, 0, (("images", True),))]),
        ({"data": [{"id": "m", "type": "llm", "max_context_length": 32_768}]},
         [Told("m", 32_768, 0, (("images", False),))]),
        ({"data": [{"id": "m", "type": ["llm"]}]}, [Told("m")]),
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


SHOW = {
    "parameters": 'stop "<|im_end|>"\nnum_ctx                        8192\ntemperature 1',
    "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40_960},
    "capabilities": ["completion", "tools"],
}
ABLE = (("tools", True), ("images", False))


def test_ollama_says_what_a_model_can_do_and_the_window_it_is_loaded_with() -> None:
    """The window in memory, else the one that is set, else the one it was trained with."""
    assert of_show(SHOW, "m", 4096) == Told("m", 4096, 0, ABLE)
    assert of_show(SHOW, "m", 0) == Told("m", 8192, 0, ABLE)
    assert of_show({**SHOW, "parameters": ""}, "m", 0) == Told("m", 40_960, 0, ABLE)
    assert of_show({"capabilities": ["vision"]}, "m", 0) == Told(
        "m", 0, 0, (("tools", False), ("images", True))
    )
    assert of_show({"capabilities": [], "model_info": [], "parameters": 7}, "m", 0) is not None


@pytest.mark.parametrize("body", [None, [], {}, {"capabilities": "tools"}])
def test_what_is_no_answer_of_ollama_tells_nothing(body: object) -> None:
    assert of_show(body, "m", 4096) is None
