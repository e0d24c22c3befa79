"""Lesson 10, the capstone: no exercises, its score is the grade (`cs329t score`)."""

from ..exercise import Exercise

EXERCISES: list[Exercise] = []
