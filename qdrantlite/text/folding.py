"""Accents off: characters to the ASCII that Qdrant's engine puts in their place (``ação`` → ``acao``).

The table lists what is folded; every other character, Greek or Cyrillic say, stays as it is.
"""

from pathlib import Path


def _read_table() -> dict[int, str]:
    text = Path(__file__).with_name("tables").joinpath("ascii_folding.txt").read_text("utf-8")
    lines = (line.split(" ", 1) for line in text.split("\n") if line)
    return {ord(character): ascii_text for ascii_text, characters in lines for character in characters}


_FOLDED = _read_table()


def fold_to_ascii(text: str) -> str:
    """The text with accented and stylised Latin letters, digits and punctuation as ASCII."""
    return text if text.isascii() else text.translate(_FOLDED)
