"""Haystack's ``QdrantDocumentStore`` and its retrievers: ``haystack PORT``."""

import sys
from collections.abc import Sequence
from typing import Any

from haystack.dataclasses import Document, SparseEmbedding
from haystack.document_stores.types import DuplicatePolicy
from haystack_integrations.components.retrievers.qdrant import (
    QdrantEmbeddingRetriever,
    QdrantHybridRetriever,
    QdrantSparseEmbeddingRetriever,
)
from haystack_integrations.document_stores.qdrant import QdrantDocumentStore

from tests.clients.frameworks.texts import DIM, LIMIT, QUERY, TEXTS, Text, dense, show, sparse


def words(text: str) -> SparseEmbedding:
    """Our sparse embedding."""
    indices, values = sparse(text)
    return SparseEmbedding(indices=indices, values=values)


def document(each: Text) -> Document:
    """A text with both its vectors."""
    return Document(
        id=each.id,
        content=each.text,
        meta={"kind": each.kind, "price": each.price},
        embedding=dense(each.text),
        sparse_embedding=words(each.text),
    )


def shown(example: str, documents: Sequence[Any]) -> None:
    """One answer, printed."""
    show(example, ((each.content, each.score) for each in documents))


def main(url: str) -> None:
    """Runs the usual calls."""
    store = QdrantDocumentStore(
        url=url,
        index="haystack",
        embedding_dim=DIM,
        use_sparse_embeddings=True,
        sparse_idf=True,
        recreate_index=True,
        progress_bar=False,
    )
    store.write_documents([document(each) for each in TEXTS], policy=DuplicatePolicy.OVERWRITE)
    by_embedding = QdrantEmbeddingRetriever(document_store=store, top_k=LIMIT)
    tea = {"field": "meta.kind", "operator": "==", "value": "tea"}
    shown("dense", by_embedding.run(query_embedding=dense(QUERY))["documents"])
    shown("filter", by_embedding.run(query_embedding=dense(QUERY), filters=tea)["documents"])
    by_words = QdrantSparseEmbeddingRetriever(document_store=store, top_k=LIMIT)
    shown("sparse", by_words.run(query_sparse_embedding=words(QUERY))["documents"])
    by_both = QdrantHybridRetriever(document_store=store, top_k=LIMIT)
    both = by_both.run(query_embedding=dense(QUERY), query_sparse_embedding=words(QUERY))
    shown("hybrid", both["documents"])
    show("count", [("tea", float(store.count_documents_by_filter(tea))), ("all", float(store.count_documents()))])
    store.delete_documents([TEXTS[0].id])
    shown("delete", by_embedding.run(query_embedding=dense(QUERY))["documents"])


if __name__ == "__main__":
    main(f"http://localhost:{sys.argv[1]}")
