"""A real model of a few kilobytes whose answers are known: a state machine written as a Llama.

Attention and feed-forward weights are zero, so what comes next depends on the last token alone, and
the output matrix says what that is. Each answer is a chain of tokens of its own, and the chat
template picks the chain by what was said last. Text is one token a byte, and all servers that load
Llamas load this one: as GGUF, or as a folder of safetensors, config and tokenizer. Nothing is
sampled: the best token leads by so much that no temperature matters.
"""

from __future__ import annotations

import json
import struct
from array import array
from itertools import pairwise
from pathlib import Path
from typing import Any

NAME = "scripted"
WINDOW = 3072
"""Tokens; less than the output an agent asks for unless told otherwise, which servers refuse."""
PEOPLE = ("Ann", "Ben", "Cleo", "Dan", "Eve", "Finn")
CALL = ("<tool_call>", '\n{"name": "current_time", "arguments": {}}\n', "</tool_call>")
"""As Hermes models write it, and parsers of servers know it; the marks are single tokens there."""
STORY = tuple(f"Part {n} of the story, in which a ship sails on. " for n in range(1, 41))
CHAINS = {
    "hello": ("Hello", " there."),
    "story": STORY,
    "time": CALL,
    "told": ("It is", " that late."),
    **{name.lower(): (f"Good day, {name}.",) for name in PEOPLE},
}
"""What is answered when the last message holds the word; the first that is found decides."""
OTHERWISE = ("I hear", " you.")
ENDLESS = " and on"
"""Answers a message that holds these words, until the server stops it."""

START, END = "<|start|>", "<|end|>"
HIDDEN, HEADS, FEED = 128, 2, 128
EPSILON = 1e-5
LEAD = 4.0
"""Weight of the right token; times the root of `HIDDEN` it is a lead no sampling overcomes."""

TEMPLATE = (
    "{%- if tools %}" + START + "system\nTools:"
    "{%- for tool in tools %} {{ tool | tojson }}{%- endfor %}" + END + "{%- endif %}"
    "{%- set said = namespace(text='', role='') %}"
    "{%- for message in messages %}"
    "{%- set said.text = '' %}{%- set said.role = message.role %}"
    "{%- if message.content is string %}{%- set said.text = message.content %}"
    "{%- elif message.content %}{%- for part in message.content %}"
    "{%- if part.type == 'text' %}{%- set said.text = said.text + part.text %}{%- endif %}"
    "{%- endfor %}{%- endif %}"
    "{{- '" + START + "' + message.role + '\n' + said.text }}"
    "{%- for call in message.tool_calls or [] %}"
    '{{- \'<tool_call>\n{"name": "\' + call.function.name + \'", "arguments": \' }}'
    "{%- if call.function.arguments is string %}{{- call.function.arguments }}"
    "{%- else %}{{- call.function.arguments | tojson }}{%- endif %}"
    "{{- '}\n</tool_call>' }}"
    "{%- endfor %}"
    "{{- '" + END + "' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '" + START + "assistant\n' }}"
    "{%- if said.role == 'tool' %}{{- '<|told|>' }}"
    + "".join(
        "{%- elif '" + word + "' in said.text | lower %}{{- '<|" + word + "|>' }}"
        for word in CHAINS
        if word != "told"
    )
    + "{%- elif 'and on' in said.text %}{{- '<|endless|>' }}"
    "{%- else %}{{- '<|otherwise|>' }}{%- endif %}{%- endif %}"
)


RESPONSE = {
    "defaults": {"role": "assistant"},
    "start_anchor": [f"<|{name}|>" for name in (*CHAINS, "otherwise", "endless")],
    "fields": {
        "tool_calls": {
            "open_pattern": r"\s*<tool_call>",
            "close": "</tool_call>",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": "{content}"},
        },
        "content": {"close": END, "content": "text"},
    },
}
"""How `transformers serve` finds calls in an answer."""


class _Tokens:
    """The vocabulary: bytes, one pair that tokenizers insist on, marks, and the words of chains."""

    def __init__(self) -> None:
        chains = {**CHAINS, "otherwise": OTHERWISE}
        self.plain = [_BYTES[byte] for byte in range(256)] + ["ĠĠ"]
        self.marks = [START, END, *(f"<|{name}|>" for name in (*chains, "endless"))]
        self.words = [*(word for chain in chains.values() for word in chain), ENDLESS]
        self.all = [*self.plain, *self.marks, *self.words]
        self.id = {token: number for number, token in enumerate(self.all)}
        end = self.id[END]
        self.next = dict.fromkeys(range(len(self.all)), end)
        for name, chain in chains.items():
            states = [self.id[f"<|{name}|>"], *(self.id[word] for word in chain), end]
            self.next |= dict(pairwise(states))
        self.next[self.id["<|endless|>"]] = self.next[self.id[ENDLESS]] = self.id[ENDLESS]

    def direction(self, token: int) -> int:
        """Where a token's embedding points: all that a chain never goes on from share one."""
        return max(0, token - len(self.plain) + 1)


def _byte_letters() -> dict[int, str]:
    """The letter that stands for each byte in vocabularies of this kind (GPT-2's)."""
    shown = {*range(33, 127), *range(161, 173), *range(174, 256)}
    hidden = [byte for byte in range(256) if byte not in shown]
    return {b: chr(b) for b in shown} | {b: chr(256 + n) for n, b in enumerate(hidden)}


_BYTES = _byte_letters()


def _tensors(tokens: _Tokens) -> dict[str, tuple[tuple[int, ...], array[float]]]:
    """Shape and values by the name that safetensors files have for them."""

    def zeros(*shape: int) -> tuple[tuple[int, ...], array[float]]:
        return shape, array("f", bytes(4 * shape[0] * (shape[1] if len(shape) > 1 else 1)))

    count = len(tokens.all)
    embedding, output = zeros(count, HIDDEN), zeros(count, HIDDEN)
    for token, following in tokens.next.items():
        embedding[1][token * HIDDEN + tokens.direction(token)] = 1.0
        output[1][following * HIDDEN + tokens.direction(token)] = LEAD
    layer = "model.layers.0"
    ones = ((HIDDEN,), array("f", [1.0] * HIDDEN))
    square = zeros(HIDDEN, HIDDEN)
    return {
        "model.embed_tokens.weight": embedding,
        **{f"{layer}.self_attn.{name}_proj.weight": square for name in "qkvo"},
        **{f"{layer}.mlp.{name}_proj.weight": zeros(FEED, HIDDEN) for name in ("gate", "up")},
        f"{layer}.mlp.down_proj.weight": zeros(HIDDEN, FEED),
        f"{layer}.input_layernorm.weight": ones,
        f"{layer}.post_attention_layernorm.weight": ones,
        "model.norm.weight": ones,
        "lm_head.weight": output,
    }


# --- a folder, as transformers and vLLM read it --------------------------------------------------


def write_folder(folder: Path) -> None:
    """Config, tokenizer and weights of the model."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = _Tokens()
    end = tokens.id[END]
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": len(tokens.all),
        "hidden_size": HIDDEN,
        "intermediate_size": FEED,
        "num_hidden_layers": 1,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "max_position_embeddings": WINDOW,
        "rms_norm_eps": EPSILON,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "bos_token_id": tokens.id[START],
        "eos_token_id": end,
        "torch_dtype": "float32",
    }
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": WINDOW,
        "bos_token": START,
        "eos_token": END,
        "chat_template": TEMPLATE,
        "response_template": RESPONSE,
        "clean_up_tokenization_spaces": False,
    }
    _write_json(folder / "config.json", config)
    _write_json(folder / "tokenizer_config.json", tokenizer_config)
    _write_json(folder / "tokenizer.json", _tokenizer(tokens))
    _write_json(
        folder / "generation_config.json",
        {"bos_token_id": tokens.id[START], "eos_token_id": end, "do_sample": False},
    )
    (folder / "chat_template.jinja").write_text(TEMPLATE, "utf-8")
    _write_safetensors(folder / "model.safetensors", _tensors(tokens))


def _tokenizer(tokens: _Tokens) -> dict[str, Any]:
    added = [
        {
            "id": tokens.id[token],
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": token in tokens.marks,
        }
        for token in (*tokens.marks, *tokens.words)
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level | {"use_regex": True},
        "post_processor": None,
        "decoder": byte_level | {"use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: tokens.id[token] for token in tokens.plain},
            "merges": [["Ġ", "Ġ"]],
        },
    }


def _write_json(file: Path, value: object) -> None:
    file.write_text(json.dumps(value, ensure_ascii=False), "utf-8")


def _write_safetensors(
    file: Path, tensors: dict[str, tuple[tuple[int, ...], array[float]]]
) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, (shape, values) in tensors.items():
        size = 4 * len(values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with file.open("wb") as sink:
        sink.write(struct.pack("<Q", len(head)) + head)
        for _, values in tensors.values():
            sink.write(values.tobytes())


# --- one file, as llama.cpp reads it -------------------------------------------------------------

_GGUF_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "post_attention_layernorm": "ffn_norm",
    "input_layernorm": "attn_norm",
    "model.layers.": "blk.",
}
_NORMAL, _CONTROL, _USER_DEFINED = 1, 3, 4
"""Kinds of tokens there."""
_ALIGNED = 32


def write_gguf(file: Path) -> None:
    """The same model in one file."""
    tokens = _Tokens()
    kinds = [
        *(_NORMAL for _ in tokens.plain),
        *(_CONTROL for _ in tokens.marks),
        *(_USER_DEFINED for _ in tokens.words),
    ]
    about: dict[str, int | float | str | list[str] | list[int]] = {
        "general.architecture": "llama",
        "general.name": NAME,
        "llama.block_count": 1,
        "llama.context_length": WINDOW,
        "llama.embedding_length": HIDDEN,
        "llama.feed_forward_length": FEED,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": HEADS,
        "llama.attention.layer_norm_rms_epsilon": EPSILON,
        "llama.rope.dimension_count": HIDDEN // HEADS,
        "llama.vocab_size": len(tokens.all),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens.all,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": ["Ġ Ġ"],
        "tokenizer.ggml.bos_token_id": tokens.id[START],
        "tokenizer.ggml.eos_token_id": tokens.id[END],
        "tokenizer.chat_template": TEMPLATE,
    }
    tensors = _tensors(tokens)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(about))
    head += b"".join(_text(name) + _value(value) for name, value in about.items())
    offset, bodies = 0, []
    for name, (shape, values) in tensors.items():
        for theirs, ours in _GGUF_NAMES.items():
            name = name.replace(theirs, ours)
        sizes = struct.pack(f"<{len(shape)}Q", *reversed(shape))
        head += _text(name) + struct.pack("<I", len(shape)) + sizes + struct.pack("<IQ", 0, offset)
        body = values.tobytes()
        bodies.append(body + b"\0" * (-len(body) % _ALIGNED))
        offset += len(bodies[-1])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join((head, b"\0" * (-len(head) % _ALIGNED), *bodies)))


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: int | float | str | list[str] | list[int]) -> bytes:
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    texts = [item for item in value if isinstance(item, str)]
    if texts:
        return struct.pack("<IIQ", 9, 8, len(texts)) + b"".join(map(_text, texts))
    return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)
