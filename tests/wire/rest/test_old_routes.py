"""The routes that query replaced read the members that are theirs, and pass over all others."""

from typing import Any

import httpx
import pytest

NAMED = {"name": "a", "vector": [1, 1]}


def result(client: httpx.Client, path: str, body: Any) -> Any:
    response = client.post("/collections/books/points" + path, json=body)
    assert response.status_code == 200, response.text
    return response.json()["result"]


@pytest.mark.parametrize(
    ("path", "body"), [("/search/groups", {"vector": NAMED}), ("/recommend/groups", {"positive": [1], "using": "a"})]
)
@pytest.mark.parametrize("offset", [2, "x"])
def test_groups_have_no_pages(books: httpx.Client, path: str, body: dict[str, Any], offset: Any) -> None:
    asked = {**body, "group_by": "color", "group_size": 2, "limit": 2}
    groups = result(books, path, asked)
    assert result(books, path, {**asked, "offset": offset}) == groups
    assert {group["id"] for group in groups["groups"]} == {"red", "green"}


def test_discoveries_have_no_threshold(books: httpx.Client) -> None:
    asked = {"target": [1, 1], "using": "a", "limit": 4}
    hits = result(books, "/discover", asked)
    assert len(hits) == 4
    assert result(books, "/discover", {**asked, "score_threshold": 2}) == hits
    assert result(books, "/discover/batch", {"searches": [{**asked, "score_threshold": 2}]}) == [hits]


def test_searches_and_recommendations_have_pages_and_thresholds(books: httpx.Client) -> None:
    asked = {"vector": NAMED, "limit": 4}
    best = [hit["id"] for hit in result(books, "/search", asked)]
    assert best == [3, 2, 1, 0]
    assert [hit["id"] for hit in result(books, "/search", {**asked, "offset": 1, "score_threshold": 2})] == [2]
    asked = {"positive": [[1, 1]], "using": "a", "limit": 4}
    assert [hit["id"] for hit in result(books, "/recommend", {**asked, "offset": 1, "score_threshold": 2})] == [2]
