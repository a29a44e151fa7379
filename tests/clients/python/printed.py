"""What both Python programs print of an answer."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qdrant_client import models
from qdrant_client.http.models import QueryResponse


def points_of(folder: Path, name: str) -> list[models.PointStruct]:
    """The points of a collection, from its file."""
    return [models.PointStruct(**each) for each in json.loads((folder / f"{name}.json").read_text())["points"]]


def show(example: str, answer: QueryResponse | models.GroupsResult | Exception) -> None:
    """One line of JSON."""
    line: dict[str, Any] = {"example": example}
    match answer:
        case QueryResponse():
            line["hits"] = _hits(answer.points)
        case models.GroupsResult():
            line["groups"] = [[group.id, _hits(group.hits)] for group in answer.groups]
        case Exception():
            line["error"] = str(answer)
    print(json.dumps(line))
    sys.stdout.flush()


def _hits(points: Sequence[models.ScoredPoint]) -> list[Any]:
    return [[point.id, point.score] for point in points]
