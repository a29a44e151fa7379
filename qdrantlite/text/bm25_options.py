"""The options of a ``Document`` for the BM25 model, by the names of Qdrant's ``Bm25Config``, into ``Bm25Params``.

An option that is absent or None has its default; an option that is not known is refused, for a misspelt one would
silently change every weight.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from qdrantlite.errors import BadInput
from qdrantlite.text.parameters import TextParams, language_name
from qdrantlite.text.stemming import STEMMERS
from qdrantlite.text.stopwords import STOPWORD_LANGUAGES
from qdrantlite.values.schema import Tokenizer

_OPTIONS = frozenset(
    [
        "k",
        "b",
        "avg_len",
        "tokenizer",
        "language",
        "lowercase",
        "ascii_folding",
        "stopwords",
        "stemmer",
        "min_token_len",
        "max_token_len",
    ]
)


@dataclass(frozen=True, slots=True)
class Bm25Params:
    """The model's settings. ``k`` bounds what repetition adds, ``b`` how much length costs, ``avg_len`` is in tokens.

    Raises:
        BadInput: ``k`` negative, ``b`` outside 0 to 1, ``avg_len`` not positive, or one of them not finite.
    """

    k: float = 1.2
    b: float = 0.75
    avg_len: float = 256.0
    text: TextParams = field(default=TextParams(stopword_languages=("english",), stemmer="english"))

    def __post_init__(self) -> None:
        if not (math.isfinite(self.k) and self.k >= 0):
            raise BadInput(f"BM25 option k must be finite and not negative, got {self.k}")
        if not 0 <= self.b <= 1:
            raise BadInput(f"BM25 option b must be between 0 and 1, got {self.b}")
        if not (math.isfinite(self.avg_len) and self.avg_len > 0):
            raise BadInput(f"BM25 option avg_len must be finite and positive, got {self.avg_len}")


DEFAULT_PARAMS = Bm25Params()


def read_options(options: Mapping[str, object]) -> Bm25Params:
    """The settings that the options of a ``Document`` mean.

    Raises:
        BadInput: an unknown option, or a value the option cannot have.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if unknown := sorted(given.keys() - _OPTIONS):
        raise BadInput(f"Unknown BM25 option: {', '.join(unknown)}; known are: {', '.join(sorted(_OPTIONS))}")
    language = _read_language(given)
    stopwords, custom = _read_stopwords(given, language)
    text = TextParams(
        tokenizer=_read_tokenizer(given),
        lowercase=_read_bool(given, "lowercase", default=True),
        ascii_folding=_read_bool(given, "ascii_folding", default=False),
        stopword_languages=stopwords,
        stopwords_custom=custom,
        stemmer=_read_stemmer(given, language),
        min_token_len=_read_length(given, "min_token_len"),
        max_token_len=_read_length(given, "max_token_len"),
    )
    return Bm25Params(
        k=_read_number(given, "k", default=1.2),
        b=_read_number(given, "b", default=0.75),
        avg_len=_read_number(given, "avg_len", default=256.0),
        text=text,
    )


def _wrong(name: str, expected: str, value: object) -> BadInput:
    return BadInput(f"BM25 option {name} must be {expected}, got {json.dumps(value, ensure_ascii=False)}")


def _read_language(given: Mapping[str, object]) -> str | None:
    """A name of ``STOPWORD_LANGUAGES``; None for ``none``, the older way to ask for no stopwords and no stemmer."""
    value = given.get("language", "english")
    if value == "none":
        return None
    if not isinstance(value, str) or language_name(value) not in STOPWORD_LANGUAGES:
        raise _wrong("language", f"one of {', '.join(sorted(STOPWORD_LANGUAGES))}", value)
    return language_name(value)


def _read_stopwords(given: Mapping[str, object], language: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Languages and custom words: those of the language, unless the option says others."""
    match given.get("stopwords"):
        case None:
            return ((language,) if language is not None else ()), ()
        case str(name):
            return (_known_stopwords(name),), ()
        case Mapping() as chosen:
            if unknown := sorted(set(chosen) - {"languages", "custom"}):
                raise _wrong("stopwords", "an object of 'languages' and 'custom'", unknown)
            languages = _read_strings(chosen.get("languages"))
            return tuple(_known_stopwords(name) for name in languages), _read_strings(chosen.get("custom"))
        case value:
            raise _wrong("stopwords", "a language or an object of 'languages' and 'custom'", value)


def _known_stopwords(name: str) -> str:
    if name not in STOPWORD_LANGUAGES:
        raise _wrong("stopwords", f"of languages out of {', '.join(sorted(STOPWORD_LANGUAGES))}", name)
    return name


def _read_strings(value: object) -> tuple[str, ...]:
    match value:
        case None:
            return ()
        case list() | tuple() if all(isinstance(item, str) for item in value):
            return tuple(sorted(set(value)))
        case _:
            raise _wrong("stopwords", "made of lists of strings", value)


def _read_stemmer(given: Mapping[str, object], language: str | None) -> str | None:
    match given.get("stemmer"):
        case None:
            return language if language in STEMMERS else None
        case {"type": "none"}:
            return None
        case {"type": "snowball", "language": str(name)} if name in STEMMERS:
            return name
        case value:
            expected = f"{{'type': 'none'}} or {{'type': 'snowball', 'language': one of {', '.join(sorted(STEMMERS))}}}"
            raise _wrong("stemmer", expected, value)


def _read_tokenizer(given: Mapping[str, object]) -> Tokenizer:
    value = given.get("tokenizer", Tokenizer.WORD)
    if not isinstance(value, str) or value not in set(Tokenizer):
        raise _wrong("tokenizer", f"one of {', '.join(Tokenizer)}", value)
    return Tokenizer(value)


def _read_bool(given: Mapping[str, object], name: str, *, default: bool) -> bool:
    value = given.get(name, default)
    if not isinstance(value, bool):
        raise _wrong(name, "true or false", value)
    return value


def _read_length(given: Mapping[str, object], name: str) -> int | None:
    value = given.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise _wrong(name, "a whole number from 0", value)
    return value


def _read_number(given: Mapping[str, object], name: str, *, default: float) -> float:
    value = given.get(name, default)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _wrong(name, "a number", value)
    return float(value)
