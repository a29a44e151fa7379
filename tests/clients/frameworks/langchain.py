"""LangChain's ``QdrantVectorStore``: ``langchain PORT``."""

import sys

from langchain_core.embeddings import Embeddings
from langchain_qdrant import QdrantVectorStore, RetrievalMode, SparseEmbeddings, SparseVector
from qdrant_client import models

from tests.clients.frameworks.texts import LIMIT, QUERY, TEXTS, dense, show, show_error, sparse


class Words(Embeddings):
    """Our dense embedding."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector a text."""
        return [dense(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """One vector."""
        return dense(text)


class SparseWords(SparseEmbeddings):
    """Our sparse embedding."""

    def embed_documents(self, texts: list[str]) -> list[SparseVector]:
        """One vector a text."""
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> SparseVector:
        """One vector."""
        indices, values = sparse(text)
        return SparseVector(indices=indices, values=values)


def stored(url: str, mode: RetrievalMode) -> QdrantVectorStore:
    """A collection of its own for each mode."""
    return QdrantVectorStore.from_texts(
        [each.text for each in TEXTS],
        Words(),
        metadatas=[{"kind": each.kind, "price": each.price} for each in TEXTS],
        ids=[each.id for each in TEXTS],
        url=url,
        collection_name=f"langchain_{mode.value}",
        retrieval_mode=mode,
        sparse_embedding=SparseWords(),
        force_recreate=True,
    )


def main(url: str) -> None:
    """Runs the usual calls."""
    store = stored(url, RetrievalMode.DENSE)
    tea = models.Filter(must=[models.FieldCondition(key="metadata.kind", match=models.MatchValue(value="tea"))])
    show("dense", ((d.page_content, score) for d, score in store.similarity_search_with_score(QUERY, k=LIMIT)))
    found = store.similarity_search_with_score(QUERY, k=LIMIT, filter=tea)
    show("filter", ((d.page_content, score) for d, score in found))
    try:
        diverse = store.max_marginal_relevance_search_with_score_by_vector(dense(QUERY), k=LIMIT, fetch_k=6)
        show("mmr", ((d.page_content, score) for d, score in diverse))
    except Exception as error:
        show_error("mmr", error)
    for mode in (RetrievalMode.SPARSE, RetrievalMode.HYBRID):
        other = stored(url, mode)
        found = other.similarity_search_with_score(QUERY, k=LIMIT)
        show(mode.value, ((d.page_content, score) for d, score in found))
    again = QdrantVectorStore.from_existing_collection("langchain_dense", Words(), url=url)
    show("by-ids", ((d.page_content, 1.0) for d in again.get_by_ids([TEXTS[2].id])))
    again.delete([TEXTS[0].id])
    found = again.similarity_search_with_score(QUERY, k=LIMIT)
    show("delete", ((d.page_content, score) for d, score in found))


if __name__ == "__main__":
    main(f"http://localhost:{sys.argv[1]}")
