"""Numbers with their nouns and verbs, as the checks tell them: "1 red flag", "6 of 6 losses differ", "1 of 4 bounds is"."""

_SINGULAR = {"are": "is", "were": "was", "have": "has", "do": "does"}


def plural(noun: str) -> str:
    """Return the plural of a regular noun: pixel, pixels; loss, losses."""
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def count(n: int, noun: str) -> str:
    """Return n with its noun: "1 red flag", "2 red flags"."""
    return f"{n} {noun if n == 1 else plural(noun)}"


def agreeing(n: int, verb: str) -> str:
    """Return a verb given in the plural as n of something need it: (1, "are") is "is", (1, "differ") "differs"."""
    return verb if n != 1 else _SINGULAR.get(verb, plural(verb))


def part(n: int, total: int, noun: str, verb: str = "") -> str:
    """Return n of a total, with a verb that agrees with n: "1 of 4 bounds is", "3 of 4 bounds are".

    Parameters
    ----------
    n, total : int
    noun : str
        In the singular.
    verb : str
        In the plural, present tense ("differ"); "were" as well. A past tense has one form and needs no help.
    """
    return f"{n} of {count(total, noun)}{f' {agreeing(n, verb)}' if verb else ''}"
