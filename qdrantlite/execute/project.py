"""The final page: which parts of a payload are returned.

Include keeps a leaf if its path and a listed path are prefixes of each other; arrays of objects are entered only with
``[]`` in the path. Exclude removes what lies at the paths. Pure.
"""

from qdrantlite.query.search import PayloadSelector
from qdrantlite.values.payload import EVERY, Json, Path, Payload, parse_path


def project_payload(payload: Payload, selector: PayloadSelector) -> Payload:
    """The part of a payload that the selector asks for. The input is not changed."""
    if selector.include is not None:
        kept = _included(payload, tuple(parse_path(path) for path in selector.include))
        assert isinstance(kept, dict)
        return kept
    if selector.exclude is not None:
        left = _excluded(payload, tuple(parse_path(path) for path in selector.exclude))
        assert isinstance(left, dict)
        return left
    return payload


def _included(value: Json, paths: tuple[Path, ...]) -> Json:
    """What of ``value`` lies on a path; a path that ends here keeps all of it, one that goes on keeps a bare value."""
    if any(len(path) == 0 for path in paths):
        return value
    if isinstance(value, dict):
        kept: dict[str, Json] = {}
        for name, item in value.items():
            rests = tuple(path[1:] for path in paths if path[0] == name)
            if rests:
                kept[name] = _included(item, rests)
        return kept
    if isinstance(value, list):
        rests = tuple(path[1:] for path in paths if path[0] is EVERY)
        return [_included(item, rests) for item in value] if rests else []
    return value


def _excluded(value: Json, paths: tuple[Path, ...]) -> Json:
    if isinstance(value, dict):
        left: dict[str, Json] = {}
        for name, item in value.items():
            rests = tuple(path[1:] for path in paths if path[0] == name)
            if () not in rests:
                left[name] = _excluded(item, rests) if rests else item
        return left
    if isinstance(value, list):
        rests = tuple(path[1:] for path in paths if path[0] is EVERY)
        if () in rests:
            return []
        return [_excluded(item, rests) for item in value] if rests else value
    return value
