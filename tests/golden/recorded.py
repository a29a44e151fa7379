"""Texts recorded beside the tests: compared, or rewritten when ``QDRANTLITE_GOLDEN=write`` (``make golden``)."""

import os
from pathlib import Path

FOLDER = Path(__file__).parent


def assert_as_recorded(name: str, text: str) -> None:
    """Raises AssertionError when ``text`` is not what ``name`` in this folder holds."""
    path = FOLDER / name
    if os.environ.get("QDRANTLITE_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text(encoding="utf-8")
