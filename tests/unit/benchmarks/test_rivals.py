"""The parts of `benchmarks.rivals` that need none of the programs it compares."""

import asyncio
import json
from pathlib import Path
from typing import cast

import pytest

from benchmarks.rivals.base import Place
from benchmarks.rivals.comparing import GATEWAYS, measure
from benchmarks.rivals.instances import free_port, running
from benchmarks.rivals.marks import LENGTH, NONE, Survival, last_mark, mark, survived
from benchmarks.rivals.model import HEALTHY, LIMITED, Behaviour, Model
from benchmarks.rivals.nanobot import Nanobot
from benchmarks.rivals.openclaw import OpenClaw
from benchmarks.rivals.ours import Turngate
from benchmarks.rivals.report import Figures, tables


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False

    def took(self) -> bytes:
        """What was written since the last time."""
        written, self.written = self.written, b""
        return written


def connected(behaviour: Behaviour) -> tuple[Model, Wire]:
    model, wire = Model(behaviour), Wire()
    model.connection_made(wire)
    return model, wire


def request(text: str, key: str = HEALTHY, path: str = "/v1/chat/completions") -> bytes:
    body = json.dumps({"stream": True, "messages": [{"role": "user", "content": text}]}).encode()
    head = f"POST {path} HTTP/1.1\r\nauthorization: Bearer {key}\r\ncontent-length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


def test_every_mark_is_as_long() -> None:
    """An answer is made once, and its mark put in: a longer one would need another length."""
    assert {len(mark(number)) for number in (1, 99_999_999)} == {LENGTH}


def test_the_newest_mark_of_a_request_counts() -> None:
    assert last_mark(b"question mark-00000001 ... question mark-00000002 ...") == b"mark-00000002"


def test_a_request_without_a_mark_gets_none() -> None:
    assert last_mark(b"{}") == NONE.encode()


def test_a_kill_is_counted_by_marks() -> None:
    """Never, once, and more often; what was not acknowledged and what was cut are left out."""
    acknowledged = [mark(1), mark(2), mark(3), mark(4)]
    answers = [f"so it is: {mark(1)}", f"{mark(2)}", f"{mark(2)}", f"cut {mark(3)[:-1]}", mark(9)]
    assert survived(acknowledged, answers) == Survival(1, 4, 1, 1, 2)


def test_kills_add_up() -> None:
    assert Survival() + Survival(1, 4, 1, 1, 2) + Survival(1, 3, 3) == Survival(2, 7, 4, 1, 2)


def test_the_model_repeats_the_mark_once_the_request_is_whole() -> None:
    model, wire = connected(Behaviour())
    asked = request(f"question {mark(7)}")
    model.data_received(asked[:-5])
    assert wire.took() == b""
    model.data_received(asked[-5:])
    head, _, body = wire.took().partition(b"\r\n\r\n")
    assert b" 200 " in head
    assert mark(7).encode() in body
    assert f"content-length: {len(body)}".encode() in head


def test_a_limited_key_is_refused_from_when_it_is_told() -> None:
    behaviour = Behaviour()
    model, wire = connected(behaviour)
    model.data_received(request("a", LIMITED))
    assert b" 200 " in wire.took()
    connected(behaviour)[0].data_received(request("", path="/limit"))
    model.data_received(request("b", LIMITED))
    assert wire.took().startswith(b"HTTP/1.1 429 ")
    model.data_received(request("c", HEALTHY))
    assert b" 200 " in wire.took()
    model.data_received(request("", path="/refused"))
    assert wire.took().endswith(b"\r\n\r\n1")


def figures(name: str, per_s: float, failover_s: float | None) -> Figures:
    survival = Survival(2, 12, 11, 0, 1)
    return Figures(
        name, "1", "nothing", per_s, 4.0, 3.0, (0.5, 0.4, 9.0), 76.0, survival, failover_s
    )


def test_the_table_holds_figures_and_ratios_to_the_first() -> None:
    rates, kills = tables([figures("a", 264, 0.17), figures("b", 16, None)], 64, 45)
    rows = {row[0]: row[1:] for row in rates.rows}
    assert rates.columns == ("", "a 1", "b 1", "times")
    assert rows["turns/s, 64 chats"] == (264, 16, 16 / 264)
    assert rows["ready after, s"] == (0.5, 0.5, 1)
    assert rows["one key answers 429: answer after, s"] == (0.17, None, None)
    assert rates.note.startswith("A dash: no answer in 45 s.")
    assert list(kills.rows) == [("a", 2, 12, 11, 0, 1), ("b", 2, 12, 11, 0, 1)]


def test_an_unknown_gateway_is_named() -> None:
    with pytest.raises(SystemExit, match="'hermes'; there is turngate, nanobot, openclaw"):
        measure(lambda text: None, ["turngate", "hermes"])


@pytest.mark.parametrize("name", ["nanobot", "openclaw"])
def test_a_second_key_is_configured_and_a_restart_keeps_the_file(name: str, tmp_path: Path) -> None:
    """They write into their configuration, and a start after a kill has to find that."""
    gateway = cast(Nanobot | OpenClaw, {each.name: each for each in GATEWAYS}[name])
    gateway.folder = tmp_path / "installed"
    place = Place(tmp_path, 1, "http://127.0.0.1:2/v1", (LIMITED, HEALTHY))
    launch = gateway.launch(place)
    (path,) = tmp_path.glob("*.json")
    text = path.read_text("utf-8")
    assert LIMITED in text
    assert HEALTHY in text
    assert str(tmp_path) in launch.environment["HOME"]
    path.write_text("{}", "utf-8")
    gateway.launch(place)
    assert path.read_text("utf-8") == "{}"


@pytest.mark.slow
async def test_our_own_driver_chats_acknowledges_and_reads_the_transcript(tmp_path: Path) -> None:
    """The others' are tested by running the benchmark: they come from the network."""
    loop = asyncio.get_running_loop()
    behaviour = Behaviour()
    server = await loop.create_server(lambda: Model(behaviour), "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    heard: list[str] = []
    async with running(Turngate(), Place(tmp_path, free_port(), address, (HEALTHY,))) as instance:
        answer = await instance.client.say("a", f"question {mark(3)}", lambda: heard.append("a"))
        assert answer.endswith(mark(3))
        assert heard == ["a"]
        assert await instance.client.answers(["a"]) == [answer]
        assert instance.memory_mib() > 10
        instance.kill()
    server.close()
