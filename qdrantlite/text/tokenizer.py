"""Text to tokens: split, then for each piece ASCII folding → lower case → stopwords → stem → length.

A document and a query differ for the prefix tokenizer alone: a document is found by every opening of its words, so it
has them all as tokens; a query has one opening per word, and keeps stopwords, for they may be words half typed.

Identifiers of code are found as a whole or by their parts, so a document has both as tokens, and so has what ranks
documents. What is matched, and what stands in a phrase, has the parts alone.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import assert_never

from qdrantlite.text.folding import fold_to_ascii
from qdrantlite.text.parameters import TextParams
from qdrantlite.text.splitting import (
    split_identifier,
    split_identifiers,
    split_multilingual,
    split_whitespace,
    split_words,
)
from qdrantlite.text.stemming import stemmer_of
from qdrantlite.text.stopwords import stopwords_of
from qdrantlite.values.schema import Tokenizer

CACHED_WORDS = 1 << 16
"""Words whose tokens are remembered, for each set of parameters."""


def document_tokens(text: str, params: TextParams) -> list[str]:
    """The tokens of a stored text, in the order of the text, repeated as often as they occur."""
    return _tokens(split_text(text, params.tokenizer), expand_document(params))


def query_tokens(text: str, params: TextParams) -> list[str]:
    """The tokens of a matched text, in the order of the text, repeated as often as they occur."""
    return _tokens(split_text(text, params.tokenizer), expand_query(params, compounds=False))


def ranking_tokens(text: str, params: TextParams) -> tuple[str, ...]:
    """The tokens that a searched text ranks stored ones by, each once."""
    return tuple(dict.fromkeys(_tokens(split_text(text, params.tokenizer), expand_query(params))))


def phrase_tokens(text: str, params: TextParams) -> list[str]:
    """The tokens of a phrase, and of a stored text where phrases are looked for, in order."""
    return _tokens(split_text(text, params.tokenizer), expand_document(params, compounds=False))


def _tokens(pieces: Iterable[str], expand: Callable[[str], tuple[str, ...]]) -> list[str]:
    return [token for piece in pieces for token in expand(piece)]


def split_text(text: str, tokenizer: Tokenizer) -> list[str]:
    """The pieces of a text, each of which ``expand_document`` and ``expand_query`` turn into tokens."""
    match tokenizer:
        case Tokenizer.WORD | Tokenizer.PREFIX:
            return split_words(text)
        case Tokenizer.WHITESPACE:
            return split_whitespace(text)
        case Tokenizer.CODE:
            return split_identifiers(text)
        case Tokenizer.MULTILINGUAL:
            return split_multilingual(text)
        case _:
            assert_never(tokenizer)


@lru_cache(maxsize=256)
def expand_document(params: TextParams, *, compounds: bool = True) -> Callable[[str], tuple[str, ...]]:
    """The function from a piece of a stored text to its tokens, none if it is dropped; it remembers its answers.

    Identifiers of several parts are tokens as a whole, too, with ``compounds`` and in lower case.
    """
    normalize = _normalizer(params, drop_stopwords=True)
    openings = _prefixes if params.tokenizer is Tokenizer.PREFIX else None
    return _remembered(_expander(params, normalize, openings, compounds=compounds))


@lru_cache(maxsize=256)
def expand_query(params: TextParams, *, compounds: bool = True) -> Callable[[str], tuple[str, ...]]:
    """The function from a piece of a searched text to its tokens, none if it is dropped; see ``expand_document``."""
    prefix = params.tokenizer is Tokenizer.PREFIX
    normalize = _normalizer(params, drop_stopwords=not prefix)
    openings = _longest_prefix if prefix else None
    return _remembered(_expander(params, normalize, openings, compounds=compounds))


def _remembered(expand: Callable[[str], tuple[str, ...]]) -> Callable[[str], tuple[str, ...]]:
    return lru_cache(maxsize=CACHED_WORDS)(expand)


def _expander(
    params: TextParams,
    normalize: Callable[[str], str],
    openings: Callable[[str, TextParams], tuple[str, ...]] | None,
    *,
    compounds: bool,
) -> Callable[[str], tuple[str, ...]]:
    """Piece → tokens; ``openings`` gives a word's prefixes, or is None where a word is one token."""
    shortest, longest = params.min_token_len or 1, params.max_token_len

    def expand_word(word: str) -> tuple[str, ...]:
        token = normalize(word)
        if openings is not None:
            return openings(token, params)
        return (token,) if len(token) >= shortest and (longest is None or len(token) <= longest) else ()

    def expand_identifier(identifier: str) -> tuple[str, ...]:
        words = split_identifier(identifier, compounds=compounds and params.lowercase)
        return tuple(token for word in words for token in expand_word(word))

    return expand_identifier if params.tokenizer is Tokenizer.CODE else expand_word


def _normalizer(params: TextParams, *, drop_stopwords: bool) -> Callable[[str], str]:
    """Word → token before its length is looked at; an empty string for a stopword."""
    stopwords = _stopwords(params) if drop_stopwords else frozenset()
    stem = stemmer_of(params.stemmer) if params.stemmer is not None else None

    def normalize(word: str) -> str:
        if params.ascii_folding:
            word = fold_to_ascii(word)
        if params.lowercase:
            word = word.lower()
        if word in stopwords:
            return ""
        return stem(word) if stem is not None else word

    return normalize


def _stopwords(params: TextParams) -> frozenset[str]:
    custom = (word.lower() if params.lowercase else word for word in params.stopwords_custom)
    return frozenset(custom).union(*(stopwords_of(language) for language in params.stopword_languages))


def _prefixes(word: str, params: TextParams) -> tuple[str, ...]:
    longest = len(word) if params.max_token_len is None else min(len(word), params.max_token_len)
    return tuple(word[:length] for length in range(params.min_token_len or 1, longest + 1))


def _longest_prefix(word: str, params: TextParams) -> tuple[str, ...]:
    return _prefixes(word, params)[-1:]
