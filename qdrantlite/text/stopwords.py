"""The words that carry no meaning of their own, by language.

The lists hold exactly the words that Qdrant's engine drops, because BM25 ids and weights must agree with it.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path


def _read_lists() -> Mapping[str, str]:
    """The words of each language in one text, apart by spaces: sets of them all would take ten times the memory."""
    text = Path(__file__).with_name("tables").joinpath("stopwords.txt").read_text("utf-8")
    return dict(line.split(": ", 1) for line in text.splitlines())


_LISTS = _read_lists()

STOPWORD_LANGUAGES = frozenset(_LISTS)
"""Names of the languages that have stopwords, in English and lower case."""


@cache
def stopwords_of(language: str) -> frozenset[str]:
    """The stopwords of one of ``STOPWORD_LANGUAGES``, all in lower case."""
    return frozenset(_LISTS[language].split(" "))
