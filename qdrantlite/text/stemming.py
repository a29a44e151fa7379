"""Words to stems, as Qdrant's engine stems them.

The engine follows the Snowball algorithms as they were before release 3 of Snowball; the library here is newer and
knows English, Dutch and Romanian better. Equal ids matter more than better stems, so those three are brought back.
"""

from collections.abc import Callable
from importlib import import_module
from threading import Lock

STEMMERS = frozenset(
    [
        "arabic",
        "armenian",
        "danish",
        "dutch",
        "english",
        "finnish",
        "french",
        "german",
        "greek",
        "hungarian",
        "italian",
        "norwegian",
        "portuguese",
        "romanian",
        "russian",
        "spanish",
        "swedish",
        "tamil",
        "turkish",
    ]
)
"""The Snowball languages of Qdrant's API."""

# Openings to which release 3 gives a region of their own. The same word with another first letter of the same kind
# (vowel for vowel) has none, and is otherwise stemmed alike.
_ENGLISH_OPENINGS = {"univers": "o", "inter": "a", "organ": "a", "later": "m", "emerg": "a"}
_ROMANIAN_CEDILLAS = str.maketrans("șțȘȚ", "şţŞŢ")


def stemmer_of(language: str) -> Callable[[str], str]:
    """A function from word to stem for a language of ``STEMMERS``; safe to call from many threads."""
    # Loaded with the first stemmer: its languages take 3 MB and 25 ms of a start, and most servers stem nothing.
    snowball = import_module("snowballstemmer")
    name = "dutch_porter" if language == "dutch" and "dutch_porter" in snowball.algorithms() else language
    library = snowball.stemmer(name)
    lock = Lock()  # a stemmer of the library keeps the word at hand in itself

    def stem(word: str) -> str:
        with lock:
            stemmed: str = library.stemWord(word)
        return stemmed

    match language:
        case "english":
            return lambda word: _stem_english(stem, word)
        case "romanian":
            return lambda word: _stem_romanian(stem, word)
        case _:
            return stem


def _stem_english(stem: Callable[[str], str], word: str) -> str:
    singular = word.removesuffix("s")
    if singular.endswith("ogist"):
        return singular
    if singular == "evening":
        return "even"
    if "past" in word:
        return stem(word.replace("past", "pact")).replace("pact", "past")
    for opening, letter in _ENGLISH_OPENINGS.items():
        if word.startswith(opening):
            return word[0] + stem(letter + word[1:])[1:]
    stemmed = stem(word)
    if len(stemmed) == 3 and stemmed[0] in "aeo" and stemmed[1] == stemmed[2] and word.endswith(("ed", "edly", "ing")):
        return stemmed[:2]
    return stemmed


def _stem_romanian(stem: Callable[[str], str], word: str) -> str:
    """Endings are known with cedillas alone, the letters that older texts use; with commas they stay."""
    if "ș" in word or "ț" in word:
        # Letters that no ending has, so that the rules see none.
        return stem(word.replace("ș", "ß").replace("ț", "þ")).replace("ß", "ș").replace("þ", "ț")
    return stem(word).translate(_ROMANIAN_CEDILLAS) if "ş" in word or "ţ" in word else stem(word)
