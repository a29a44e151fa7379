"""LlamaIndex's ``QdrantVectorStore``: ``llama_index PORT``.

Its ready-made BM25 encoder fetches word lists when it first runs, so the encoder is ours; the server weighs by IDF.
"""

import sys

from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters, VectorStoreQuery
from llama_index.core.vector_stores.types import VectorStoreQueryMode
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import QdrantClient, models

from tests.clients.frameworks.texts import LIMIT, QUERY, TEXTS, dense, show, sparse

NAME = "llama_index"


def encoded(texts: list[str]) -> tuple[list[list[int]], list[list[float]]]:
    """Indices and values of each text."""
    pairs = [sparse(text) for text in texts]
    return [indices for indices, _ in pairs], [values for _, values in pairs]


def node(place: int) -> TextNode:
    """A text with its vector, as the only node of its document; what is kept beside it is not encoded with it."""
    each = TEXTS[place]
    return TextNode(
        id_=each.id,
        text=each.text,
        metadata={"kind": each.kind, "price": each.price},
        excluded_embed_metadata_keys=["kind", "price"],
        embedding=dense(each.text),
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"document-{place}")},
    )


def asked(store: QdrantVectorStore, example: str, mode: VectorStoreQueryMode, only: MetadataFilters | None) -> None:
    """One query, printed."""
    query = VectorStoreQuery(
        query_embedding=dense(QUERY),
        query_str=QUERY,
        similarity_top_k=LIMIT,
        sparse_top_k=LIMIT,
        mode=mode,
        filters=only,
    )
    result = store.query(query)
    nodes = result.nodes or []
    show(example, ((each.get_content(), score) for each, score in zip(nodes, result.similarities or [], strict=True)))


def main(url: str) -> None:
    """Runs the usual calls."""
    client = QdrantClient(url=url)
    client.delete_collection(NAME)
    store = QdrantVectorStore(
        NAME,
        client=client,
        enable_hybrid=True,
        sparse_doc_fn=encoded,
        sparse_query_fn=encoded,
        sparse_config=models.SparseVectorParams(modifier=models.Modifier.IDF),
    )
    store.add([node(place) for place in range(len(TEXTS))])
    tea = MetadataFilters(filters=[MetadataFilter(key="kind", value="tea")])
    asked(store, "dense", VectorStoreQueryMode.DEFAULT, None)
    asked(store, "filter", VectorStoreQueryMode.DEFAULT, tea)
    asked(store, "sparse", VectorStoreQueryMode.SPARSE, None)
    asked(store, "hybrid", VectorStoreQueryMode.HYBRID, None)
    show("by-ids", ((each.get_content(), 1.0) for each in store.get_nodes(node_ids=[TEXTS[2].id])))
    store.delete("document-0")
    asked(store, "delete", VectorStoreQueryMode.DEFAULT, None)
    client.close()


if __name__ == "__main__":
    main(f"http://localhost:{sys.argv[1]}")
