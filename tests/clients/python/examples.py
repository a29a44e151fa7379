"""Every example through ``QdrantClient``: ``examples.py rest|grpc PORT FOLDER``."""

import sys
from pathlib import Path

from qdrant_client import QdrantClient, models

from tests.clients.python.printed import points_of, show
from tests.clients.python.queries import COLLECTIONS, GROUPS, QUERIES


def main(transport: str, port: int, folder: Path) -> None:
    """Creates, upserts, asks."""
    if transport == "grpc":
        client = QdrantClient(host="localhost", grpc_port=port, prefer_grpc=True, check_compatibility=False)
    else:
        client = QdrantClient(url=f"http://localhost:{port}")
    for name, config in COLLECTIONS.items():
        client.delete_collection(name)
        client.create_collection(name, **config)
        client.upsert(name, points_of(folder, name), wait=True)
    client.create_payload_index("articles", "price", models.PayloadSchemaType.INTEGER, wait=True)
    for example, asked in QUERIES.items():
        try:
            show(example, client.query_points(**{"collection_name": "articles", **asked}))
        except Exception as error:
            show(example, error)
    show("groups", client.query_points_groups("articles", **GROUPS))
    client.close()


main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
