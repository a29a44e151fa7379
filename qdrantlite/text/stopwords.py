"""The words that carry no meaning of their own, by language.

The lists hold exactly the words that Qdrant's engine drops, because BM25 ids and weights must agree with it.
"""

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType


def _read_lists() -> Mapping[str, frozenset[str]]:
    text = files(__package__).joinpath("tables/stopwords.txt").read_text("utf-8")
    lists = (line.split(": ", 1) for line in text.splitlines())
    return MappingProxyType({language: frozenset(words.split(" ")) for language, words in lists})


STOPWORDS: Mapping[str, frozenset[str]] = _read_lists()
"""Language name → its stopwords, all in lower case."""
