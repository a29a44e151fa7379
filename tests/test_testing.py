"""The server for users' tests, and the pytest plugin."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from qdrant_client import QdrantClient, models

from qdrantlite.errors import Locked
from qdrantlite.testing import Server

ROOT = Path(__file__).resolve().parents[1]


def _fill(client: QdrantClient) -> None:
    client.create_collection("c", vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT))
    client.upsert("c", [models.PointStruct(id=1, vector=[1.0, 2.0], payload={"a": 1})], wait=True)


def test_temporary_folder_lives_as_long_as_the_server() -> None:
    with Server() as server:
        folder = server.folder
        client = QdrantClient(**server.client_options)
        _fill(client)
        assert client.query_points("c", query=[1.0, 1.0]).points[0].score == 3.0
        client.close()
        assert any(folder.iterdir())
    assert not folder.exists()


def test_given_folder_is_kept_and_opens_again(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        client = QdrantClient(**server.client_options)
        _fill(client)
        client.close()
    with Server(str(tmp_path)) as server:
        client = QdrantClient(**server.client_options)
        assert client.retrieve("c", [1])[0].payload == {"a": 1}
        client.close()


def test_servers_run_side_by_side_but_not_on_one_folder(tmp_path: Path) -> None:
    with Server() as one, Server(tmp_path) as two:
        assert len({one.grpc_port, one.http_port, two.grpc_port, two.http_port}) == 4
        with pytest.raises(Locked):
            Server(tmp_path).start()


def test_server_may_be_stopped_twice_and_started_again() -> None:
    server = Server()
    server.stop()
    server.start()
    server.stop()
    server.stop()
    with server:
        assert server.url == f"http://127.0.0.1:{server.http_port}"


USER_TESTS = """
def test_create(qdrantlite_client, qdrantlite_server):
    qdrantlite_client.create_collection("seen", vectors_config={})
    assert qdrantlite_client.collection_exists("seen")
    assert qdrantlite_server.grpc_port

def test_next_test_starts_afresh(qdrantlite_client):
    assert not qdrantlite_client.get_collections().collections
"""

INNOCENT_TESTS = """
import sys

def test_plugin_loads_nothing_unless_asked(request):
    assert request.config.pluginmanager.has_plugin("qdrantlite.pytest_plugin")
    assert not {"numpy", "grpc", "faiss", "qdrantlite.server", "qdrant_client"}.intersection(sys.modules)
"""


@pytest.mark.parametrize("text", [USER_TESTS, INNOCENT_TESTS], ids=["used", "not used"])
def test_pytest_plugin(tmp_path: Path, text: str) -> None:
    (tmp_path / "test_user.py").write_text(text)
    plugins = ["-p", "no:cacheprovider", "-p", "qdrantlite.pytest_plugin"]
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-m", "pytest", "-q", *plugins, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
