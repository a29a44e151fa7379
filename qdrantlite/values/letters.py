"""Which characters are letters and digits: those that Unicode calls alphabetic or numeric.

Python's ``\\w`` lacks the vowel signs of many scripts and letters newer than itself; ``tables/alphabetic.txt`` adds
them.
"""

from functools import cache
from pathlib import Path

WHITESPACE = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""The inside of a regular expression's brackets: white space as Unicode has it, unlike ``str.split`` and ``\\s``."""


@cache
def letter_class() -> str:
    """The inside of a regular expression's brackets: letters, digits and the underscore. Slow to compile."""
    lines = Path(__file__).with_name("tables").joinpath("alphabetic.txt").read_text("ascii").split()
    bounds = [line.split("-") for line in lines]
    return "\\w" + "".join(f"{chr(int(low, 16))}-{chr(int(high, 16))}" for low, high in bounds)
