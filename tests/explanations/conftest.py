"""The corpus, unpacked once per session."""

from tests.corpus.conftest import corpus

__all__ = ["corpus"]
