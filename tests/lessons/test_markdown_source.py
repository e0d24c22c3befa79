"""What the builder makes of a lesson's source, and what it refuses, naming the place."""

import re

import pytest
from lesson_examples import DISCUSSION, EXERCISE, cell, write

from cs329t_robust.lessons import build
from cs329t_robust.lessons import markdown_source as lesson_source
from cs329t_robust.lessons.build import LessonError


def test_the_student_gets_a_stub_and_the_solution_loses_only_its_marks(tmp_path):
    source = write(tmp_path, "# Tiny\n\n" + EXERCISE)
    student, solution = (build.render(source, solved).cells for solved in (False, True))
    assert student[1].source == (
        'def double(x):\n    """Return 2x."""\n    # YOUR CODE HERE\n'
        '    raise NotImplementedError("90.1: your code here")'
    )
    assert solution[2].source == 'def double(x):\n    """Return 2x."""\n    secret = x + x\n\n    return secret'
    assert "do not edit" in solution[0].source.lower()
    assert all("<details>" in cells[-1].source for cells in (student, solution))


def test_metadata_holds_the_exercise_the_tags_and_no_noise(tmp_path):
    source = write(tmp_path, "# Tiny\n\n" + EXERCISE + DISCUSSION + "text after it\n")
    notebook = build.render(source, solved=False)
    assert notebook.cells[1].metadata == {
        "tags": ["keep-me"],
        "cs329t": {"exercise": "90.1", "role": "answer"},
    }
    assert [c.id for c in notebook.cells if c.id.startswith("ex-")] == [
        "ex-90-1-answer",
        "ex-90-1-check",
        "ex-90-D1-discussion",
    ]
    assert notebook.cells[0].metadata == notebook.cells[-1].metadata == {}
    assert set(notebook.metadata) == {"kernelspec", "language_info", "cs329t"}
    assert notebook.metadata.kernelspec.name == "cs329t-robust"
    assert "version" not in notebook.metadata.language_info
    assert notebook.metadata.cs329t == {"lesson": "90", "notebook": "student"}


def test_ids_are_unique_valid_and_change_with_their_own_cell_only(tmp_path):
    before = build.render(write(tmp_path, cell("a = 1") + cell("a = 1") + "+++\n\ntext\n"), solved=False).cells
    after = build.render(write(tmp_path, "new first\n\n" + cell("a = 1") + cell("a = 1") + "+++\n\nother\n"), False)
    ids = [c.id for c in before]
    assert len(set(ids)) == 3
    assert all(re.fullmatch(r"90-[0-9a-f]{8}(-\d+)?", i) for i in ids)
    assert [c.id for c in after.cells][1:3] == ids[:2]
    assert after.cells[3].id != ids[2]


def test_an_answer_without_marks_is_already_solved(tmp_path):
    body = EXERCISE.replace("    ### BEGIN SOLUTION\n", "").replace("    ### END SOLUTION\n", "")
    student, solution = (build.render(write(tmp_path, body), solved).cells for solved in (False, True))
    assert student[0].source == solution[1].source
    assert "secret" in student[0].source


MISTAKES = {
    "BEGIN without END": (EXERCISE.replace("    ### END SOLUTION\n", ""), "line 3 of the cell.*without an END"),
    "END without BEGIN": (EXERCISE.replace("    ### BEGIN SOLUTION\n", ""), "line 6 of the cell.*without a BEGIN"),
    "BEGIN twice": (
        EXERCISE.replace("    ### END", "    ### BEGIN"),
        "line 7 of the cell.*inside the solution begun in line 3",
    ),
    "mark misspelt": (EXERCISE.replace("### END", "# END"), "expected exactly"),
    "marks in text": ("### BEGIN SOLUTION\n\n" + cell("1"), "markdown cell at line 8.*outside an answer cell"),
    "marks in a plain cell": (cell("### BEGIN SOLUTION\n1\n### END SOLUTION"), "code cell at line 8.*outside an"),
    "empty solution": (cell("1") + re.sub(r"    secret.*return secret\n", "\n", EXERCISE, flags=re.S), "empty"),
    "answer without an id": (EXERCISE.replace('exercise: "90.1"\nrole: answer', "role: answer"), "exercise: expected"),
    "id without quotes": (EXERCISE.replace('"90.1"', "90.1"), r"in quotes\), got 90.1"),
    "id of another lesson": (EXERCISE.replace('"90.1"', '"02.1"'), "expected an id like"),
    "no check": (EXERCISE.split("```\n\n")[0] + "```\n", "90.1 has no check cell"),
    "no answer": ("```{code-cell}" + EXERCISE.split("```{code-cell}")[2], "90.1 has no answer cell"),
    "check first": (
        "```{code-cell}" + "```{code-cell}".join(EXERCISE.split("<det")[0].split("```{code-cell}")[:0:-1]),
        "checked before its answer",
    ),
    "answer twice": (EXERCISE + EXERCISE, "a second cell ex-90-1-answer"),
    "unknown role": (EXERCISE.replace("role: check", "role: test"), "role: expected one of .*'test'"),
    "no role": (EXERCISE.replace("role: check\n", ""), "role: expected one of .*None"),
    "unknown option": (cell("1", ":tgas: [x]\n"), "unknown option tgas"),
    "tags not a list": (cell("1", ":tags: nbval-skip\n"), "'nbval-skip' is not of type 'array'"),
    "discussion in code": (cell("1", ':exercise: "90.D1"\n:role: discussion\n'), "must be a markdown cell"),
    "answer in text": ('+++ {"exercise": "90.1", "role": "answer"}\n\nHere.\n', "must be a code cell"),
    "bad YAML": (cell("1", ":tags: [x\n"), "90_tiny.md: .*Invalid YAML"),
    "bad JSON": ("+++ {exercise}\n\ntext\n", "90_tiny.md: .*could not be read"),
    "directive misspelt": ("```{codecell} python3\n1\n```\n", "a directive stayed text"),
    "break swallowed": ("<details>Hint</details>\n" + DISCUSSION, "a cell break stayed text"),
    "empty code": (cell(""), "the code cell is empty"),
    "empty file": ("", "at least one cell"),
}


@pytest.mark.parametrize(("body", "message"), MISTAKES.values(), ids=MISTAKES)
def test_an_inconsistent_source_is_refused_naming_the_place(tmp_path, body, message):
    with pytest.raises(LessonError, match=message) as caught:
        build.render(write(tmp_path, body), solved=False)
    assert str(caught.value).startswith("90_tiny.md")


def test_exercises_must_be_known_to_the_checks(tmp_path):
    source = write(tmp_path, EXERCISE)
    assert lesson_source.read_source(source, {"90.1": "double"})
    with pytest.raises(LessonError, match=r"exercise 90.1 is not in cs329t_robust.checks \(90.2\)"):
        lesson_source.read_source(source, {"90.2": "double"})
    with pytest.raises(LessonError, match=r"must call check.halve\("):
        lesson_source.read_source(source, {"90.1": "halve"})


def test_the_name_of_a_source_carries_its_number(tmp_path):
    with pytest.raises(LessonError, match=r"Tiny.md: expected a name like"):
        build.render(write(tmp_path, "text", "Tiny.md"), solved=False)
