"""Cutting a text into words, and a word into pieces; no lowercase, stopwords or stems here.

A word character is a letter or digit of ``values.letters``.
"""

import re
import unicodedata
from functools import cache

from qdrantlite.values.letters import WHITESPACE, letter_class

_PIECE = re.compile(f"[^{WHITESPACE}]+")
_WORD_ASCII = re.compile(r"[A-Za-z0-9]+")
_IDENTIFIER_PART = re.compile(r"[^_]+")
# One character of these scripts is a token: without a dictionary nothing says where their words end.
_UNSPACED = re.compile("([\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")


@cache
def _word_or_underscore() -> re.Pattern[str]:
    """Runs of word characters and underscores; compiled when first needed, for that takes a while."""
    return re.compile(f"[{letter_class()}]+")


def split_whitespace(text: str) -> list[str]:
    """The pieces between white space."""
    return _PIECE.findall(text)


def split_words(text: str) -> list[str]:
    """The runs of word characters; an underscore separates."""
    if text.isascii():
        return _WORD_ASCII.findall(text)
    return _word_or_underscore().findall(text.replace("_", " "))


def split_identifiers(text: str) -> list[str]:
    """The runs of word characters and underscores, as programs name things."""
    return _word_or_underscore().findall(text)


def split_identifier(identifier: str, *, compounds: bool) -> list[str]:
    """``get_HTTPCode`` → ``get``, ``HTTP``, ``Code``; with ``compounds`` also ``HTTPCode`` and ``getHTTPCode``."""
    parts = _IDENTIFIER_PART.findall(identifier)
    if identifier[0] in "0123456789":
        return ["".join(parts)]  # a number, such as 0x1F or 1_000
    pieces = ["".join(parts)] if compounds and len(parts) > 1 else []
    for part in parts:
        humps = _split_camel_case(part)
        if compounds and len(humps) > 1:
            pieces.append(part)
        pieces.extend(humps)
    return pieces


def _split_camel_case(part: str) -> list[str]:
    """``parseHTTPResponse2`` → ``parse HTTP Response2``: humps start with a capital, of several the last."""
    starts = [0]
    for at in range(1, len(part)):
        before, here, after = part[at - 1], part[at], part[at + 1 : at + 2]
        small_after = bool(after) and not after.isupper() and not after.isnumeric()
        if here.isupper() and (not before.isupper() or small_after):
            starts.append(at)
    return [part[start:end] for start, end in zip(starts, [*starts[1:], len(part)], strict=True)]


def split_multilingual(text: str) -> list[str]:
    """Words of any script in lower case, Latin ones without accents; pieces without a letter are dropped.

    Scripts written without spaces give one token for each character.
    """
    words: list[str] = []
    for word in split_words(_without_latin_accents(text.lower())):
        for piece in _UNSPACED.split(word):
            if any(character.isalpha() for character in piece):
                words.append(piece)
    return words


def _without_latin_accents(text: str) -> str:
    """Compatibility forms composed; the accents on Latin letters taken off, those of other scripts kept."""
    if text.isascii():
        return text
    kept: list[str] = []
    latin = False
    for character in unicodedata.normalize("NFKD", text):
        if unicodedata.combining(character):
            if latin:
                continue
        else:
            latin = character.isascii()
        kept.append(character)
    return unicodedata.normalize("NFC", "".join(kept)).replace("ς", "σ")
