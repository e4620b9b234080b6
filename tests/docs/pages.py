"""The pages as the tests read them: fenced blocks, headings, links. Pure but for reading files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `info` is what stands behind the fence, word by word."""

    line: int
    info: tuple[str, ...]
    text: str

    @property
    def language(self) -> str:
        return self.info[0] if self.info else ""

    @property
    def flags(self) -> frozenset[str]:
        """Words behind the language, such as `tty` or `unordered`."""
        return frozenset(word for word in self.info[1:] if "=" not in word)

    @property
    def file(self) -> str:
        """Where a reader would save it; empty for what is not a file."""
        return next((w.removeprefix("file=") for w in self.info[1:] if w.startswith("file=")), "")


def pages() -> list[Path]:
    """Every page a newcomer may open."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    return [path for path in (*top, *sorted((ROOT / "docs").rglob("*.md"))) if path.exists()]


def name(page: Path) -> str:
    """The page as people call it."""
    return page.relative_to(ROOT).as_posix()


def read(page: Path | str) -> str:
    """The text of a page; a name is relative to the repository."""
    return (ROOT / page).read_text("utf-8")


def blocks(text: str) -> list[Block]:
    """The fenced blocks, in order."""
    return [
        Block(text_line(text, found.start()), tuple(found[1].split()), found[2])
        for found in _FENCE.finditer(text)
    ]


def sections(text: str) -> list[tuple[str, list[Block]]]:
    """The blocks under each heading, headings without any left out."""
    headings = [(found.start(), found[1]) for found in _HEADING.finditer(prose(text))]
    starts = [(text_line(prose(text), start), title) for start, title in headings]
    found: dict[tuple[int, str], list[Block]] = {}
    for block in blocks(text):
        under = max((start for start in starts if start[0] <= block.line), default=(0, "top"))
        found.setdefault(under, []).append(block)
    return [(title, inside) for (_, title), inside in found.items()]


def text_line(text: str, position: int) -> int:
    """The number of the line a position is in."""
    return text.count("\n", 0, position) + 1


def prose(text: str) -> str:
    """The text without its fenced blocks; lines stay where they were."""
    return _FENCE.sub(lambda found: "\n" * found[0].count("\n"), text)


def links(text: str) -> Iterator[str]:
    """Where the links of the prose lead."""
    for found in _LINK.finditer(re.sub(r"`[^`\n]*`", "", prose(text))):
        yield found[1]


def anchors(text: str) -> set[str]:
    """The names a link may use for the headings, as GitHub makes them."""
    found: dict[str, int] = {}
    made: set[str] = set()
    for heading in _HEADING.findall(prose(text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        count = found.get(slug, 0)
        found[slug] = count + 1
        made.add(f"{slug}-{count}" if count else slug)
    return made
