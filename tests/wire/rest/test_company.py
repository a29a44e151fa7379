"""Idle connections and clients that send slowly cost a healthy client nothing."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from time import perf_counter

import httpx
import pytest

from qdrantlite.testing import Server

IDLE, SLOW = 200, 4
ROUNDS, REQUESTS = 8, 150
RATIO_MAX = 2
HEAD = "\r\n".join(
    (
        "PUT /collections/books/points HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        "Content-Length: 1000000",
        "",
        "",
    )
).encode()


@contextmanager
def company(port: int) -> Iterator[None]:
    """Clients that say nothing, and some that send a body byte by byte without an end."""
    done = threading.Event()

    def drip(connections: list[socket.socket]) -> None:
        while not done.wait(0.01):
            for connection in connections:
                connection.sendall(b" ")

    with ExitStack() as opened:
        for _ in range(IDLE):
            opened.enter_context(socket.create_connection(("127.0.0.1", port)))
        slow = [opened.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(SLOW)]
        for connection in slow:
            connection.sendall(HEAD)
        dripping = threading.Thread(target=drip, args=(slow,))
        dripping.start()
        try:
            yield
        finally:
            done.set()
            dripping.join()


def times(client: httpx.Client) -> list[float]:
    """Of searches, one after the other, sorted."""
    taken = []
    for _ in range(REQUESTS):
        started = perf_counter()
        response = client.post("/collections/books/points/query", json={"query": [1.0, 0.5], "using": "a"})
        taken.append(perf_counter() - started)
        assert response.status_code == 200
    return sorted(taken)


@pytest.mark.slow
def test_a_healthy_client_is_answered_as_soon_as_if_it_were_alone(books: httpx.Client, server: Server) -> None:
    times(books)
    alone, beside = [], []
    for _ in range(ROUNDS):  # In turns: what else the machine does is the same for both.
        alone.append(times(books))
        with company(server.http_port):
            beside.append(times(books))
    for share in (0.5, 0.99):
        apart, together = (median(each[int(share * REQUESTS)] for each in rounds) for rounds in (alone, beside))
        assert together < RATIO_MAX * apart, (share, apart, together)
