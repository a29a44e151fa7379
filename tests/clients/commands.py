"""Runs the blocks of ``docs/grpcurl.md`` or ``docs/http.md`` as a reader would: ``commands grpcurl|curl PORT FOLDER``.

A block is a shell command below a line ``# NAME``. Collections are made by the blocks of the page; the points of the
files are written with the same tool. Prints one line of JSON for each block that asks, and ends if another block fails.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"grpcurl": ("docs/grpcurl.md", "localhost:6334"), "curl": ("docs/http.md", "localhost:6333")}
COLLECTIONS = ("another_collection", "articles", "stages")


def blocks(tool: str) -> Iterator[tuple[str, str]]:
    """Name and command, in the order of the page."""
    text = (ROOT / PAGES[tool][0]).read_text(encoding="utf-8")
    for fence in re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for block in re.split(r"^# ", fence, flags=re.MULTILINE)[1:]:
            name, command = block.split("\n", 1)
            yield name, command


def main(tool: str, port: str, folder: Path) -> None:
    """Runs the page."""
    address = f"localhost:{port}"
    for name in COLLECTIONS:
        _delete(tool, address, name)
    for name, command in blocks(tool):
        done = _shell(command.replace(PAGES[tool][1], address))
        if " " in name or name == "upsert":
            assert done.returncode == 0, f"{name}: {done.stderr}"
            assert '"error"' not in done.stdout, f"{name}: {done.stdout}"
        else:
            print(json.dumps({"example": name} | _read(tool, done)), flush=True)
        if name == "upsert":
            for collection in COLLECTIONS:
                _upsert(tool, address, collection, folder)


def _shell(command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    quiet = command.replace("curl -X", "curl -s -X")
    return subprocess.run(["sh", "-ec", quiet], input=stdin, capture_output=True, text=True, check=False)


def _delete(tool: str, address: str, name: str) -> None:
    if tool == "curl":
        _shell(f"curl -X DELETE http://{address}/collections/{name}")
    else:
        _shell(f'grpcurl -plaintext -d \'{{"collection_name": "{name}"}}\' {address} qdrant.Collections/Delete')


def _upsert(tool: str, address: str, name: str, folder: Path) -> None:
    text = (folder / f"{name}.json").read_text(encoding="utf-8")
    if tool == "curl":
        call = f"curl -X PUT 'http://{address}/collections/{name}/points?wait=true' "
        done = _shell(call + "--fail-with-body -H 'Content-Type: application/json' -d @-", text)
    else:
        points = [_message(record) for record in json.loads(text)["points"]]
        request = {"collection_name": name, "wait": True, "points": points}
        done = _shell(f"grpcurl -plaintext -d @ {address} qdrant.Points/Upsert", json.dumps(request))
    assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"


def _message(record: dict[str, Any]) -> dict[str, Any]:
    payload = {
        key: {"string_value" if isinstance(value, str) else "integer_value": value}
        for key, value in record.get("payload", {}).items()
    }
    point_id = {"uuid" if isinstance(record["id"], str) else "num": record["id"]}
    named = {name: _vector(given) for name, given in record["vector"].items()}
    return {"id": point_id, "vectors": {"vectors": {"vectors": named}}, "payload": payload}


def _vector(given: Any) -> dict[str, Any]:
    if isinstance(given, dict):
        return {"sparse": given}
    if isinstance(given[0], list):
        return {"multi_dense": {"vectors": [{"data": row} for row in given]}}
    return {"dense": {"data": given}}


def _read(tool: str, done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    if tool == "grpcurl":
        if done.returncode != 0:
            return {"error": done.stderr}
        result = json.loads(done.stdout).get("result", [])
        if isinstance(result, dict):
            return {"groups": [[group["id"]["stringValue"], _messages(group["hits"])] for group in result["groups"]]}
        return {"hits": _messages(result)}
    answer = json.loads(done.stdout)
    if answer["status"] != "ok":
        return {"error": done.stdout}
    result = answer["result"]
    if "groups" in result:
        return {"groups": [[group["id"], _records(group["hits"])] for group in result["groups"]]}
    return {"hits": _records(result["points"])}


def _messages(hits: list[dict[str, Any]]) -> list[Any]:
    """Protobuf's JSON leaves zeros out."""
    return [[hit["id"].get("uuid") or int(hit["id"]["num"]), hit.get("score", 0.0)] for hit in hits]


def _records(hits: list[dict[str, Any]]) -> list[Any]:
    return [[hit["id"], hit["score"]] for hit in hits]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
