"""The rules a database is held against, and how what breaks them is told."""

from gateway.store.soundness import Report, broken, rules


def test_every_rule_is_a_sentence_with_a_question() -> None:
    """The sentence is what an operator reads; a question without one would end up in the last's."""
    found = rules()
    assert found
    assert all(" " in sentence and "SELECT" in sql for sentence, sql in found)
    assert [sql.count(";\n") for _, sql in found] == [1] * len(found)


def test_what_breaks_a_rule_is_named_up_to_a_few() -> None:
    assert broken("a rule", []) == []
    assert broken("a rule", [(n,) for n in range(7)]) == ["a rule: 0, 1, 2, 3, 4 and 2 more"]
    Report("here", 1, (), {}).raise_problems()
