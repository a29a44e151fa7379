"""Mem0's Qdrant store, by the calls that its memory makes: ``mem0 PORT``.

The memory itself needs a language model. The store's BM25 encoder fetches word lists when it first runs, so an encoder
of ours, with the same one method, takes its place.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mem0.vector_stores.qdrant import Qdrant

from tests.clients.frameworks.texts import DIM, LIMIT, QUERY, SECOND_QUERY, TEXTS, dense, show, sparse


@dataclass(frozen=True)
class Encoded:
    """What an encoder gives for a text."""

    indices: Any
    values: Any


class Encoder:
    """In place of the one that fetches."""

    def embed(self, texts: Sequence[str]) -> Iterator[Encoded]:
        """One vector a text."""
        for indices, values in map(sparse, texts):
            yield Encoded(np.array(indices), np.array(values))


def shown(example: str, hits: Sequence[Any]) -> None:
    """One answer, printed."""
    show(example, ((hit.payload["data"], hit.score) for hit in hits))


def main(port: int) -> None:
    """Runs the calls of a memory."""
    store = Qdrant("mem0", DIM, host="localhost", port=port)
    store._bm25_encoder = Encoder()
    store.reset()
    payloads = [{"data": each.text, "user_id": each.kind, "price": each.price} for each in TEXTS]
    store.insert([dense(each.text) for each in TEXTS], payloads, [each.id for each in TEXTS])
    shown("search", store.search(QUERY, dense(QUERY), top_k=LIMIT))
    shown("filter", store.search(QUERY, dense(QUERY), top_k=LIMIT, filters={"user_id": "tea"}))
    shown("range", store.search(QUERY, dense(QUERY), top_k=LIMIT, filters={"price": {"gte": 5, "lt": 14}}))
    both = store.search_batch([QUERY, SECOND_QUERY], [dense(QUERY), dense(SECOND_QUERY)], top_k=2)
    shown("batch", [hit for hits in both for hit in hits])
    shown("keywords", store.keyword_search(QUERY, top_k=LIMIT) or [])
    listed = store.list(filters={"user_id": "coffee"}, top_k=10)[0]
    show("list", sorted((record.payload["data"], 1.0) for record in listed))
    store.update(TEXTS[2].id, payload={"data": "changed"})
    show("update", [(store.get(TEXTS[2].id).payload["data"], 1.0)])
    store.delete(TEXTS[0].id)
    shown("delete", store.search(QUERY, dense(QUERY), top_k=LIMIT))


if __name__ == "__main__":
    main(int(sys.argv[1]))
