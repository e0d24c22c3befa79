"""Ten kinds of students, the grader killed twice: every total is right, no verdict is given twice."""

import pytest

from .crowd import KINDS, grade, hand_in


@pytest.mark.slow
def test_kills_in_the_middle_change_nothing(level, tmp_path):
    due = hand_in(tmp_path / "in", len(KINDS))
    found = grade(tmp_path / "in", tmp_path / "out", kills=2)
    assert found.kills == 2
    assert found.totals == due
    assert set(found.graded.values()) == {1}
    assert len(found.graded) == 8 * len(KINDS)
