"""How a text is to be tokenized: one value, shared by the BM25 model and by payload indexes on text.

Invariant: a ``TextParams`` that exists is usable; its languages have stopwords and a stemmer. It is hashable, so
what is derived from it can be cached by it.
"""

from dataclasses import dataclass

from qdrantlite.errors import BadInput
from qdrantlite.text.stemming import STEMMERS
from qdrantlite.text.stopwords import STOPWORD_LANGUAGES
from qdrantlite.values.schema import FieldParams, Tokenizer

_LANGUAGE_CODES = {
    "ar": "arabic", "az": "azerbaijani", "bn": "bengali", "ca": "catalan", "da": "danish", "de": "german", "el":
    "greek", "en": "english", "es": "spanish", "eu": "basque", "fi": "finnish", "fr": "french", "he": "hebrew",
    "hu": "hungarian", "id": "indonesian", "it": "italian", "jp": "japanese", "kk": "kazakh", "ne": "nepali",
    "nl": "dutch", "no": "norwegian", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sl": "slovene",
    "sv": "swedish", "tg": "tajik", "tr": "turkish", "zh": "chinese",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TextParams:
    """What happens to a text. The defaults are those of a payload index on text: no stopwords, no stemmer.

    ``stopword_languages`` name lists, ``stopwords_custom`` adds words to them (lowercased when ``lowercase`` is on).
    ``stemmer`` is a Snowball language or None. Lengths are in characters and both bounds are inclusive.

    Raises:
        BadInput: a language without stopwords, or a stemmer that does not exist.
    """

    tokenizer: Tokenizer = Tokenizer.WORD
    lowercase: bool = True
    ascii_folding: bool = False
    stopword_languages: tuple[str, ...] = ()
    stopwords_custom: tuple[str, ...] = ()
    stemmer: str | None = None
    min_token_len: int | None = None
    max_token_len: int | None = None

    def __post_init__(self) -> None:
        for language in self.stopword_languages:
            if language not in STOPWORD_LANGUAGES:
                raise BadInput(
                    f"No stopwords for language {language!r}, known are: {', '.join(sorted(STOPWORD_LANGUAGES))}"
                )
        if self.stemmer is not None and self.stemmer not in STEMMERS:
            raise BadInput(f"No stemmer for language {self.stemmer!r}, known are: {', '.join(sorted(STEMMERS))}")


def language_name(given: str) -> str:
    """The name of a language that is given by its code; anything else as it is."""
    return _LANGUAGE_CODES.get(given, given)


def index_text_params(params: FieldParams) -> TextParams:
    """What happens to the texts of a payload index. Raises BadInput for languages that are not known."""
    stopwords, stemmer = params.stopwords, params.stemmer
    return TextParams(
        tokenizer=params.tokenizer or Tokenizer.WORD,
        lowercase=params.lowercase is not False,
        ascii_folding=params.ascii_folding is True,
        stopword_languages=tuple(map(language_name, stopwords.languages)) if stopwords is not None else (),
        stopwords_custom=stopwords.custom if stopwords is not None else (),
        stemmer=language_name(stemmer.language) if stemmer is not None and stemmer.language is not None else None,
        min_token_len=params.min_token_len,
        max_token_len=params.max_token_len,
    )
