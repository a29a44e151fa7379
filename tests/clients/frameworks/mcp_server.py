"""The MCP server of Qdrant, asked by an MCP client in the same process: ``mcp_server PORT``."""

import asyncio
import re
import sys
from typing import Any

from fastmcp import Client
from mcp_server_qdrant.embeddings.base import EmbeddingProvider
from mcp_server_qdrant.mcp_server import QdrantMCPServer
from mcp_server_qdrant.settings import FilterableField, QdrantSettings, ToolSettings
from qdrant_client import QdrantClient

from tests.clients.frameworks.texts import DIM, LIMIT, QUERY, TEXTS, dense, show

NAME = "mcp_server"


class Words(EmbeddingProvider):
    """Our dense embedding."""

    async def embed_documents(self, documents: list[str]) -> list[list[float]]:
        """One vector a text."""
        return [dense(text) for text in documents]

    async def embed_query(self, query: str) -> list[float]:
        """One vector."""
        return dense(query)

    def get_vector_name(self) -> str:
        """As the server's own providers name it: after the model."""
        return "words"

    def get_vector_size(self) -> int:
        """Its size."""
        return DIM


async def main(url: str) -> None:
    """Stores by tool, finds by tool."""
    QdrantClient(url=url).delete_collection(NAME)
    kind = FilterableField(name="kind", description="kind of drink", field_type="keyword", condition="==")
    settings = QdrantSettings(QDRANT_URL=url, COLLECTION_NAME=NAME, QDRANT_SEARCH_LIMIT=LIMIT, filterable_fields=[kind])
    server = QdrantMCPServer(ToolSettings(), settings, embedding_provider=Words())
    async with Client(server) as client:
        for each in TEXTS:
            metadata = {"kind": each.kind, "price": each.price}
            await client.call_tool("qdrant-store", {"information": each.text, "metadata": metadata})
        show("find", _found(await client.call_tool("qdrant-find", {"query": QUERY})))
        show("find-filtered", _found(await client.call_tool("qdrant-find", {"query": QUERY, "kind": "tea"})))


def _found(contents: Any) -> list[tuple[str, float]]:
    """The texts, in order; the tool says no scores."""
    return [(text, 1.0) for each in contents for text in re.findall("<content>(.*?)</content>", each.text)]


if __name__ == "__main__":
    asyncio.run(main(f"http://localhost:{sys.argv[1]}"))
