"""How a text is to be tokenized: one value, shared by the BM25 model and by payload indexes on text.

Invariant: a ``TextParams`` that exists is usable; its languages have stopwords and a stemmer. It is hashable, so
what is derived from it can be cached by it.
"""

from dataclasses import dataclass

from qdrantlite.errors import BadInput
from qdrantlite.text.stemming import STEMMERS
from qdrantlite.text.stopwords import STOPWORD_LANGUAGES
from qdrantlite.values.schema import FieldParams, Tokenizer


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


def index_text_params(params: FieldParams) -> TextParams:
    """What happens to the texts of a payload index. Raises BadInput for languages that are not known."""
    stopwords = params.stopwords
    return TextParams(
        tokenizer=params.tokenizer or Tokenizer.WORD,
        lowercase=params.lowercase is not False,
        ascii_folding=params.ascii_folding is True,
        stopword_languages=stopwords.languages if stopwords is not None else (),
        stopwords_custom=stopwords.custom if stopwords is not None else (),
        stemmer=params.stemmer.language if params.stemmer is not None else None,
        min_token_len=params.min_token_len,
        max_token_len=params.max_token_len,
    )
