"""Every example through ``AsyncQdrantClient``: ``examples_async.py rest|grpc PORT FOLDER``."""

import asyncio
import sys
from pathlib import Path

from qdrant_client import AsyncQdrantClient, models

from tests.clients.python.printed import points_of, show
from tests.clients.python.queries import COLLECTIONS, GROUPS, QUERIES


async def main(transport: str, port: int, folder: Path) -> None:
    """Creates, upserts, asks all at once."""
    if transport == "grpc":
        client = AsyncQdrantClient(host="localhost", grpc_port=port, prefer_grpc=True, check_compatibility=False)
    else:
        client = AsyncQdrantClient(url=f"http://localhost:{port}")
    for name, config in COLLECTIONS.items():
        await client.delete_collection(name)
        await client.create_collection(name, **config)
        await client.upsert(name, points_of(folder, name), wait=True)
    await client.create_payload_index("articles", "price", models.PayloadSchemaType.INTEGER, wait=True)
    questions = [client.query_points(**{"collection_name": "articles", **asked}) for asked in QUERIES.values()]
    for example, answer in zip(QUERIES, await asyncio.gather(*questions, return_exceptions=True), strict=True):
        assert not isinstance(answer, BaseException) or isinstance(answer, Exception)
        show(example, answer)
    show("groups", await client.query_points_groups("articles", **GROUPS))
    await client.close()


asyncio.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
