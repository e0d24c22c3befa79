"""What a student reads is grammatical: nouns in s, a single one of something, and its verb."""

import torch

from cs329t_robust import checks
from cs329t_robust.checks.message_wording import agreeing, count, part, plural

EXERCISES = checks.exercises()


def test_numbers_with_their_nouns_and_verbs():
    assert [plural(noun) for noun in ("pixel", "loss", "patch", "index")] == ["pixels", "losses", "patches", "indexes"]
    assert [count(n, "red flag") for n in (0, 1, 2)] == ["0 red flags", "1 red flag", "2 red flags"]
    assert part(1, 4, "bound", "are") == "1 of 4 bounds is"
    assert part(3, 4, "bound", "are") == "3 of 4 bounds are"
    assert part(6, 6, "loss", "differ") == "6 of 6 losses differ"
    assert part(1, 1, "image") == "1 of 1 image"
    assert [agreeing(1, verb) for verb in ("have", "do", "were", "reach")] == ["has", "does", "was", "reaches"]


def test_every_loss_is_told_in_the_plural():
    wrong = lambda clean, adv, y, beta: 2 * EXERCISES["05.6"].reference(clean, adv, y, beta)  # noqa: E731
    assert "6 of 6 losses differ" in str(EXERCISES["05.6"].grade(wrong))


def test_one_red_flag_is_told_in_the_singular():
    def blind(clean, noise, fgsm, pgd, square, unbounded):
        return torch.zeros_like(clean)

    assert "has 1 red flag, you count 0" in str(EXERCISES["06.6"].grade(blind))


def test_one_loose_bound_is_told_in_the_singular():
    def loose(low, high, weight, bias):
        right = EXERCISES["06.3"].reference(low, high, weight, bias)
        right[0] += 1
        return right

    assert "1 of 3 bounds is larger" in str(EXERCISES["06.3"].grade(loose))
