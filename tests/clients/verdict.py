"""Whether what a client printed is what it must see.

A program prints one JSON object a line: ``{"example": NAME, "hits": [[ID, SCORE], …]}``, or ``"groups": [[KEY, HITS],
…]``, or ``"error": TEXT``. Ids must be the same in the same order; scores may differ by float32's rounding.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.clients.examples import Answer, Grouped, Hits, Ranked, Refused

OK, WAITS = "ok", "waits for "
SCORE_ERROR_MAX = 1e-5
"""Relative to the larger of 1 and the score."""
NOT_IMPLEMENTED = re.compile(r"unimplemented|not supported yet", re.IGNORECASE)


def cells(output: str, expected: Mapping[str, Answer], waiting: Mapping[str, str]) -> dict[str, str]:
    """What to say of each example: ``ok``, ``waits for X``, or what is wrong."""
    printed: dict[str, Mapping[str, Any]] = {}
    for line in output.splitlines():
        if line.startswith("{"):
            seen = json.loads(line)
            printed[seen["example"]] = seen
    said = {name: _judged(printed.get(name), answer) for name, answer in expected.items()}
    said |= {name: _still_waits(printed.get(name), reason) for name, reason in waiting.items()}
    return said | dict.fromkeys(printed.keys() - said.keys(), "not an example")


def is_fine(cell: str) -> bool:
    """Right, or known and named as not there yet."""
    return cell == OK or cell.startswith(WAITS)


def _still_waits(seen: Mapping[str, Any] | None, reason: str) -> str:
    if seen is None:
        return "not asked"
    if "error" not in seen:
        return f"answered, though it is said to wait for {reason}"
    return WAITS + reason if NOT_IMPLEMENTED.search(seen["error"]) else f"error: {seen['error']}"


def _judged(seen: Mapping[str, Any] | None, expected: Answer) -> str:
    if seen is None:
        return "not asked"
    match expected:
        case Refused(text):
            error = seen.get("error", "")
            return OK if text in error else f"expected the error {text!r}, got {error!r}"
        case Ranked(hits):
            return f"error: {seen['error']}" if "error" in seen else _compared(seen["hits"], hits)
        case Grouped(groups):
            return f"error: {seen['error']}" if "error" in seen else _compared_groups(seen["groups"], groups)


def _compared_groups(seen: Sequence[Any], expected: Sequence[tuple[str, Hits]]) -> str:
    keys, wanted = [key for key, _ in seen], [key for key, _ in expected]
    if keys != wanted:
        return f"expected the groups {wanted}, got {keys}"
    for (_, hits), (key, right) in zip(seen, expected, strict=True):
        said = _compared(hits, right)
        if said != OK:
            return f"group {key}: {said}"
    return OK


def _compared(seen: Sequence[Any], expected: Hits) -> str:
    ids, wanted = [each for each, _ in seen], [each for each, _ in expected]
    if ids != wanted:
        return f"expected the ids {wanted}, got {ids}"
    for (_, score), (each, right) in zip(seen, expected, strict=True):
        if not abs(score - right) <= SCORE_ERROR_MAX * max(1.0, abs(right)):
            return f"point {each}: expected the score {right}, got {score}"
    return OK
