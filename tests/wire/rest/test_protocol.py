"""HTTP as clients, proxies and pages meet it: paths, bodies, limits, codings, origins, connections."""

import gzip
import json
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from qdrantlite.database import Database
from qdrantlite.testing import Server
from qdrantlite.version import API_VERSION, COMMIT
from qdrantlite.wire.call_pools import CallPools
from qdrantlite.wire.rest import app
from qdrantlite.wire.rest.server import HttpServer

LIMIT = 2000
JSON = {"content-type": "application/json"}


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of a server that takes bodies of up to 2,000 bytes, from its own pages only."""
    with Database(tmp_path / "data") as database, CallPools() as pools:
        server = HttpServer(
            database, host="127.0.0.1", port=0, pools=pools, body_bytes_max=LIMIT, cors=False, keep_alive_s=5
        )
        with httpx.Client(base_url=f"http://127.0.0.1:{server.start()}") as client:
            yield client
        server.stop(1)


def error(response: httpx.Response) -> str:
    """The text of a refusal, whose form is checked."""
    body = response.json()
    assert body.keys() == {"status", "time"}
    text: str = body["status"]["error"]
    return text


def test_root_and_probes_have_no_envelope(http: httpx.Client) -> None:
    assert http.get("/").json() == {"title": "qdrant - vector search engine", "version": API_VERSION, "commit": COMMIT}
    for path, text in (("/healthz", "healthz check passed"), ("/livez", "healthz check passed")):
        assert http.get(path).text == text
    assert http.get("/readyz").text == "all shards are ready"
    assert http.get("/readyz").headers["content-type"].startswith("text/plain")


def test_answers_come_in_an_envelope(http: httpx.Client) -> None:
    body = http.get("/collections").json()
    assert body.keys() == {"result", "status", "time"}
    assert (body["result"], body["status"]) == ({"collections": []}, "ok")
    assert 0 < body["time"] < 60


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nowhere"),
        ("POST", "/collections"),
        ("PUT", "/"),
        ("GET", "/collections/a/b/c"),
        ("HEAD", "/collections"),
    ],
)
def test_unknown_path_or_method_is_404_without_body(http: httpx.Client, method: str, path: str) -> None:
    response = http.request(method, path)
    assert (response.status_code, response.content) == (404, b"")


def test_slash_at_the_end_does_not_count(http: httpx.Client) -> None:
    assert http.get("/collections/").json()["result"] == {"collections": []}
    assert http.get("/collections//").status_code == 200


def test_names_in_paths_are_percent_encoded(http: httpx.Client) -> None:
    name = "naïve & co"
    assert http.put("/collections/na%C3%AFve%20&%20co", json={}).json()["result"] is True
    assert http.get("/collections").json()["result"] == {"collections": [{"name": name}]}
    http.delete("/collections/na%C3%AFve%20&%20co")
    response = http.put("/collections/a%2Fb", json={})
    assert response.status_code == 422
    assert error(response) == 'Validation error in path parameters: [name: collection name cannot contain "/" char]'


@pytest.mark.parametrize("kind", [{}, {"content-type": "text/plain"}])
def test_body_must_say_that_it_is_json(http: httpx.Client, kind: dict[str, str]) -> None:
    response = http.put("/collections/c", content=b"{}", headers=kind)
    assert (response.status_code, error(response)) == (400, "Payload error: Content type error")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "EOF while parsing a value"),
        (b"{", "line 1 column 2"),
        (b'{"vectors": NaN}', "line 1 column 13"),
        (b"\xff", "line 1 column"),
        (b"[]", "invalid type: sequence, expected a map"),
        (b'{"metadata": ' + b"[" * 200 + b"]" * 200 + b"}", "recursion limit exceeded"),
        (b"[" * 100_000, "recursion limit|column"),
    ],
)
def test_malformed_body_is_refused(http: httpx.Client, body: bytes, text: str) -> None:
    response = http.put("/collections/c", content=body, headers=JSON)
    assert response.status_code == 400
    assert error(response).startswith("Format error in JSON body: ")
    assert any(part in error(response) for part in text.split("|")), error(response)


def test_metadata_nests_no_deeper_than_clients_can_read(http: httpx.Client) -> None:
    deep = b'{"metadata": {"a": ' + b"[" * 100 + b"]" * 100 + b"}}"
    response = http.put("/collections/c", content=deep, headers=JSON)
    assert response.status_code == 400
    assert error(response).startswith("Wrong input: Payload is nested too deeply")


@pytest.mark.parametrize(("levels", "status"), [(60, 200), (64, 400), (200, 400)])
def test_filters_nest_no_deeper_than_json_may(books: httpx.Client, levels: int, status: int) -> None:
    filter = '{"must": [' * levels + '{"key": "n", "match": {"value": 1}}' + "]}" * levels
    body = f'{{"query": [1, 2], "using": "a", "filter": {filter}}}'
    response = books.post("/collections/books/points/query", content=body, headers=JSON)
    assert response.status_code == status, response.text
    if status == 400:
        assert error(response) == "Format error in JSON body: recursion limit exceeded"


def test_formulas_nest_no_deeper_than_json_may(books: httpx.Client) -> None:
    formula = '{"neg": ' * 900 + '"$score"' + "}" * 900
    body = f'{{"query": {{"formula": {formula}}}, "prefetch": {{}}}}'
    response = books.post("/collections/books/points/query", content=body, headers=JSON)
    assert (response.status_code, error(response)) == (400, "Format error in JSON body: recursion limit exceeded")


def test_answers_are_sent_without_delay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio asks for that on connections whose protocol says TCP, and they have it from the listening socket."""
    listening: list[int] = []
    monkeypatch.setattr(HttpServer, "_run", lambda self: listening.append(self._socket.proto))
    with Database(tmp_path / "data") as database, CallPools() as pools:
        server = HttpServer(
            database, host="127.0.0.1", port=0, pools=pools, body_bytes_max=LIMIT, cors=False, keep_alive_s=5
        )
        server.start()
        server.stop(1)
    assert listening == [socket.IPPROTO_TCP]


def test_body_beyond_the_limit_is_refused(narrow: httpx.Client) -> None:
    body = json.dumps({"metadata": {"a": "x" * LIMIT}}).encode()
    response = narrow.put("/collections/c", content=body, headers=JSON)
    assert response.status_code == 400
    assert (
        error(response)
        == f"Payload error: JSON payload ({len(body)} bytes) is larger than allowed (limit: 2000 bytes)."
    )
    response = narrow.put("/collections/c", content=iter([body[:1500], body[1500:]]), headers=JSON)
    assert response.status_code == 400
    assert error(response) == "Payload error: JSON payload is larger than allowed (limit: 2000 bytes)."
    assert narrow.put("/collections/c", json={}).json()["result"] is True


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_bodies_are_read_within_the_limit(narrow: httpx.Client, coding: str) -> None:
    def put(body: bytes) -> httpx.Response:
        packed = gzip.compress(body) if coding == "gzip" else zlib.compress(body)
        return narrow.put("/collections/c", content=packed, headers={**JSON, "content-encoding": coding})

    assert put(b'{"metadata": {"a": 1}}').json()["result"] is True
    assert "larger than allowed" in error(put(b'{"metadata": {"a": "' + b"x" * 100_000 + b'"}}'))
    response = narrow.put("/collections/c", content=b"{}", headers={**JSON, "content-encoding": coding})
    assert (response.status_code, error(response)) == (400, f"Payload error: the body is not {coding}")


def test_unknown_and_cut_codings_are_refused(narrow: httpx.Client) -> None:
    response = narrow.put("/collections/c", content=b"{}", headers={**JSON, "content-encoding": "br"})
    assert error(response) == "Payload error: content encoding br is not supported"
    cut = gzip.compress(b"{}")[:-9]
    response = narrow.put("/collections/c", content=cut, headers={**JSON, "content-encoding": "gzip"})
    assert error(response) == "Payload error: the body ends within its gzip data"


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("gzip, deflate", "gzip"), ("deflate", "deflate"), ("*", "gzip"), ("gzip;q=0", None), ("br", None), ("", None)],
)
def test_long_answers_are_compressed_as_accepted(http: httpx.Client, accepted: str, coding: str | None) -> None:
    http.put("/collections/c", json={"metadata": {"text": "x" * 10_000}})
    response = http.get("/collections/c", headers={"accept-encoding": accepted})
    assert response.headers.get("content-encoding") == coding
    assert response.json()["result"]["config"]["metadata"] == {"text": "x" * 10_000}
    assert (int(response.headers["content-length"]) < 5_000) == (coding is not None)


def test_pages_from_anywhere_may_call(http: httpx.Client, narrow: httpx.Client) -> None:
    origin = {"origin": "https://page.example"}
    asked = {**origin, "access-control-request-method": "PUT", "access-control-request-headers": "api-key"}
    allowed = http.options("/collections/c", headers=asked)
    assert allowed.status_code == 200
    assert "PUT" in allowed.headers["access-control-allow-methods"]
    assert allowed.headers["access-control-allow-headers"] == "api-key"
    assert "access-control-allow-origin" in http.get("/collections", headers=origin).headers
    assert "access-control-allow-origin" not in narrow.get("/collections", headers=origin).headers


def test_connections_are_kept(server: Server) -> None:
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        for _ in range(2):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"passed"):
                answer += connection.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200")


def test_bodies_held_are_bounded(narrow: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "HELD_BYTES_MAX", 100)
    for _ in range(3):
        response = narrow.put("/collections/c", json={"metadata": {"a": "x" * 200}})
        assert (response.status_code, response.headers["retry-after"]) == (429, "1")
        assert narrow.put("/collections/c/points", json={}).status_code == 400
    monkeypatch.undo()
    assert narrow.put("/collections/c", json={"metadata": {"a": "x" * 200}}).status_code == 200
