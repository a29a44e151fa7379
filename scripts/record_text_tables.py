"""Write the tables of ``qdrantlite/text`` and ``qdrantlite/values`` anew by asking Qdrant's engine.

The stopwords are checked against it.

``alphabetic.txt`` and ``ascii_folding.txt`` are found by trying every character of Unicode. Stopwords cannot be found
by trying; of all words in ``stopwords.txt`` the engine must drop for each language those of its list and no other.
"""

import itertools
import string
from pathlib import Path

import mmh3
import qdrant_edge as engine

PACKAGE = Path(__file__).parent.parent / "qdrantlite"
TABLES = PACKAGE / "text" / "tables"
LETTERS = PACKAGE / "values" / "tables" / "alphabetic.txt"
PROBES_PER_CALL = 2000


def bare_model(tokenizer: engine.TokenizerType, **settings: object) -> engine.Bm25:
    """A model that neither stems nor lowercases; it drops words only if ``stopwords`` are among the settings."""
    settings = {"stopwords": engine.StopwordsSet(set(), set()), **settings}
    config = engine.Bm25Config(tokenizer=tokenizer, lowercase=False, stemmer=engine.DisabledStemmer(), **settings)
    return engine.Bm25(config)


def token_id(token: str) -> int:
    """The index the engine gives to a token."""
    return abs(mmh3.hash(token, 0, signed=True))


def kept(model: engine.Bm25, words: list[str]) -> set[str]:
    """Those of the words that the model has as tokens, unchanged."""
    found: set[str] = set()
    for first in range(0, len(words), PROBES_PER_CALL):
        part = words[first : first + PROBES_PER_CALL]
        ids = set(model.embed_query(" ".join(part)).indices)
        found.update(word for word in part if token_id(word) in ids)
    return found


def characters() -> list[str]:
    """Every character that can stand in a string."""
    return [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]


def record_alphabetic() -> None:
    """Ranges of the word characters that ``str.isalnum`` does not know; a short gap of known ones is bridged."""
    model = bare_model(engine.TokenizerType.Word)
    probes = {f"q{ord(character)}a{character}b": ord(character) for character in characters()}
    known = {probes[word] for word in kept(model, list(probes))}
    ranges: list[list[int]] = []
    for code in sorted(code for code in known if not chr(code).isalnum()):
        gap = range(ranges[-1][1] + 1, code) if ranges else None
        if gap is not None and len(gap) < 39 and all(between in known for between in gap):
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    LETTERS.write_text("".join(f"{low:X}-{high:X}\n" for low, high in ranges), "ascii")


def record_folding() -> None:
    """For every ASCII text that the engine puts in the place of a character: those characters."""
    model = bare_model(engine.TokenizerType.Whitespace, ascii_folding=True)
    probes = {f"q{ord(c)}{c}z": c for c in characters() if not c.isascii() and not c.isspace()}
    changed = {probes[word] for word in probes.keys() - kept(model, list(probes))}
    letters = string.printable[:94]
    texts = ["".join(text) for length in (1, 2, 3) for text in itertools.product(letters, repeat=length)]
    texts += [f"({number})" for number in range(10, 21)]
    text_of = {token_id(f"q{text}z"): text for text in reversed(texts)}
    by_text: dict[str, list[str]] = {}
    for character in sorted(changed):
        by_text.setdefault(text_of[model.embed_query(f"q{character}z").indices[0]], []).append(character)
    lines = [f"{text} {''.join(by_text[text])}\n" for text in sorted(by_text)]
    (TABLES / "ascii_folding.txt").write_text("".join(lines), "utf-8")


def check_stopwords() -> None:
    """Exit with the words on which the engine and the table differ."""
    lines = [line.split(": ", 1) for line in (TABLES / "stopwords.txt").read_text("utf-8").splitlines()]
    lists = {language: set(words.split(" ")) for language, words in lines}
    everything = sorted(set().union(*lists.values()))
    for language, words in lists.items():
        stopwords = getattr(engine.Language, language.capitalize())
        dropped = set(everything) - kept(bare_model(engine.TokenizerType.Whitespace, stopwords=stopwords), everything)
        if dropped != words:
            raise SystemExit(f"{language}: {sorted(dropped ^ words)}")


if __name__ == "__main__":
    record_alphabetic()
    record_folding()
    check_stopwords()
