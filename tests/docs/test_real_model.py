"""The settings on the page about real models, each used: read as settings, then asked with."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from agents.base.messages import UserMessage
from agents.base.models import ModelContext, ModelRequest
from agents.models.openai import OpenAIModel
from gateway.composition.answering import profiles
from gateway.core.clock import SystemClock
from gateway.core.parts import Text
from gateway.settings.settings import load_settings
from gateway.simulate.clouds import CLOUDS
from gateway.simulate.server import simulating
from tests.docs.pages import Block, blocks, read

PAGE = read("docs/howto/real-model.md")
SETTINGS = [block for block in blocks(PAGE) if block.language == "sh"]
ROW = re.compile(r"^\| ([\w ]+) \| (?:none|`(https://\S+)`) \|", re.MULTILINE)


@pytest.mark.parametrize("block", SETTINGS, ids=lambda block: f"line {block.line}")
async def test_the_settings_make_a_model_that_answers(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = dict(line.split("=", 1) for line in block.text.splitlines())
    monkeypatch.chdir(tmp_path)
    for name, value in said.items():
        monkeypatch.setenv(name, value.replace("…", "x"))
    monkeypatch.delenv("TURNGATE_MODEL", raising=False)
    [profile] = profiles(load_settings())
    assert (profile.base_url, profile.model) == (said["LLM_BASE_URL"], said["LLM_MODEL"])
    assert profile.window == int(said.get("LLM_CONTEXT_WINDOW", 0))
    for member in ("tools", "images"):
        assert (member in profile.lacks) == (said.get(f"LLM_{member.upper()}") == "false")
    async with simulating() as server:
        model = OpenAIModel(replace(profile, base_url=server.base_url))
        request = ModelRequest(profile.model, "", (UserMessage((Text("hello"),)),))
        reply = await model.complete(request, ModelContext(SystemClock(), lambda _: None))
        await model.close()
        assert reply.text == "You said: hello"
        assert server.asked[0].key == said.get("LLM_API_KEY", "").replace("…", "x")


def test_each_cloud_has_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that `turngate simulate` replays, by their first word, and no other."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM_MODEL", "m")
    monkeypatch.setenv("LLM_API_KEY", "x")
    monkeypatch.delenv("TURNGATE_MODEL", raising=False)
    found = dict(ROW.findall(PAGE))
    assert {name.split()[0].lower() for name in found} == set(CLOUDS)
    for url in filter(None, found.values()):
        monkeypatch.setenv("LLM_BASE_URL", url)
        [profile] = profiles(load_settings())
        assert profile.base_url == url
