"""Notebooks: built from their source, read back with a student's answers in them, and merged with a new release."""

from .. import lazily

__getattr__, __dir__, __all__ = lazily(__name__, {"ProgressBoard": "progress_board"})
