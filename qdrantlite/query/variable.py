"""Names of a formula's variables: ``$score``, ``$score[2]``, and paths into the payload."""

from qdrantlite.errors import BadInput, MalformedRequest
from qdrantlite.values.payload import Path, parse_path

SCORE_NUMBER_MAX = 2**64 - 1


def score_number(name: str) -> int | None:
    """Of which prefetch the variable is the score, None for a path into the payload. Raises BadInput."""
    if not name.startswith("$"):
        payload_path(name)
        return None
    path = _path(name[1:])
    if path and path[0] != "score":
        raise BadInput(f"Validation failed: failed to parse variable ID {name}: Invalid reserved word: {name}")
    match path:
        case ("score",):
            return 0
        case ("score", int(number)) if number <= SCORE_NUMBER_MAX:
            return number
        case _:
            raise BadInput(f"Validation failed: failed to parse variable ID {name}: Invalid reserved variable: {name}")


def payload_path(name: str) -> Path:
    """The path of a variable in the payload. Raises BadInput."""
    path = _path(name)
    if not path:
        raise BadInput(f"Validation failed: failed to parse variable ID {name}: Invalid payload variable: {name}")
    return path


def _path(name: str) -> Path:
    """Empty when the name is no path."""
    try:
        return parse_path(name)
    except MalformedRequest:
        return ()
