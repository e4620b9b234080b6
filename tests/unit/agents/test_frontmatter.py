from __future__ import annotations

import pytest

from agents.frontmatter import Document, FrontMatterError, parse


def test_a_file_without_a_fence_is_all_body() -> None:
    assert parse("# I am\n\nhere") == Document({}, "# I am\n\nhere")
    assert parse("") == Document({}, "")


def test_values_and_body_are_split_at_the_second_fence() -> None:
    text = "---\nname: Luna\ntools: [a, b]\n---\nYou are Luna.\n---\nstill body\n"
    assert parse(text) == Document(
        {"name": "Luna", "tools": ["a", "b"]}, "You are Luna.\n---\nstill body\n"
    )


@pytest.mark.parametrize("text", ["---\n---\nbody", "---\n# only a comment\n---\nbody"])
def test_empty_front_matter_has_no_values(text: str) -> None:
    assert parse(text) == Document({}, "body")


def test_marks_of_other_systems_do_not_matter() -> None:
    assert parse("\ufeff---\r\nname: x\r\n---\r\nbody") == Document({"name": "x"}, "body")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("---\nname: x\nbody without an end", "not closed"),
        ("---\n- a\n- b\n---\n", "not a list of `key: value` lines"),
        ("---\njust prose\n---\n", "not a list of `key: value` lines"),
        ("---\nname: [a\n---\n", "not YAML in line"),
        ("---\nname: a\nname: b\n---\n", "'name' twice"),
        ("---\n1: a\n---\n", "a key that is not a word"),
        ("---\n? [a]\n: b\n---\n", "a key that is not a word"),
        ("---\nwhen: 2024-99-99\n---\n", "ValueError"),
        ("---\na: \x07\n---\n", "not YAML"),
        ("---\na: !!python/object:os.system x\n---\n", "not YAML"),
        ("---\na: " + "[" * 5000 + "\n---\n", "not YAML"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(text: str, says: str) -> None:
    with pytest.raises(FrontMatterError, match="front matter") as error:
        parse(text)
    assert says in str(error.value)


def test_the_line_of_a_mistake_counts_from_the_top_of_the_file() -> None:
    with pytest.raises(FrontMatterError, match="line 3"):
        parse("---\nok: yes\nbad: a: b\n---\n")
