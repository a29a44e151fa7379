"""Routes about the server itself, and those that are not built, which say so."""

from typing import NoReturn

from qdrantlite.errors import NotReady, Unsupported
from qdrantlite.values.schema import CollectionConfig
from qdrantlite.version import API_VERSION, COMMIT, TITLE
from qdrantlite.wire.engine import Engine
from qdrantlite.wire.rest.call import Call
from qdrantlite.wire.rest.encode.answer import Answer
from qdrantlite.wire.rest.encode.collection import encode_config
from qdrantlite.wire.rest.routes import COLLECTION, Route

_PARAMS_LEVEL = 1
_CONFIG_LEVEL = 2


def root(_engine: Engine, _call: Call) -> Answer:
    """Title and version of the API: the first thing clients read, without an envelope."""
    return {"title": TITLE, "version": API_VERSION, "commit": COMMIT}


def alive(_engine: Engine, _call: Call) -> Answer:
    """``/healthz`` and ``/livez`` (one text for both, as Qdrant has it): the process answers."""
    return "healthz check passed"


def ready(engine: Engine, _call: Call) -> Answer:
    """``/readyz``: 503 until collections have been opened; requests are answered before, but may have to wait."""
    if not engine.is_ready:
        raise NotReady("some shards are not ready")
    return "all shards are ready"


def telemetry(engine: Engine, call: Call) -> Answer:
    """What this server is and holds. It is told to who asks, and to nobody else."""
    given = call.parameters.get("details_level", "0")
    level = int(given) if given.isascii() and given.isdecimal() and len(given) < 3 else 0
    names = engine.list_collections()
    collections: dict[str, Answer] = {"number_of_collections": len(names)}
    if level >= _PARAMS_LEVEL:
        collections["collections"] = [_told(engine, name, level) for name in names]
    return {"id": "", "app": {"name": "qdrantlite", "version": API_VERSION}, "collections": collections}


def _told(engine: Engine, name: str, level: int) -> Answer:
    info = engine.collection_info(name)
    config = encode_config(info.config)
    assert isinstance(config, dict)
    if level >= _CONFIG_LEVEL:
        return {"id": name, "init_time_ms": 0, "config": config}
    status = "ok" if info.optimizer_error is None else {"error": info.optimizer_error}
    return {
        "vectors": _vectors(info.config, info.points_count),
        "optimizers_status": status,
        "params": config["params"],
    }


def _vectors(config: CollectionConfig, points: int) -> int:
    return points * (len(config.vectors) + len(config.sparse_vectors))


def issues(_engine: Engine, _call: Call) -> Answer:
    """Advice is not given."""
    return {"issues": []}


def clear_issues(_engine: Engine, _call: Call) -> Answer:
    """There are none."""
    return True


def not_built(_engine: Engine, _call: Call) -> NoReturn:
    """Parts of the API that this server does not have yet."""
    raise Unsupported("this part of the REST API is not implemented by this server")


SHARD = COLLECTION + "/shards/{shard_id}"

NOT_BUILT = (
    ("GET", "/metrics"),
    ("GET", "/quotas"),
    ("PUT", "/quotas"),
    *((method, COLLECTION + "/snapshots") for method in ("GET", "POST")),
    *((method, COLLECTION + "/snapshots/{snapshot_name}") for method in ("GET", "DELETE")),
    ("PUT", COLLECTION + "/snapshots/recover"),
    ("POST", COLLECTION + "/snapshots/upload"),
    *((method, "/snapshots") for method in ("GET", "POST")),
    *((method, "/snapshots/{snapshot_name}") for method in ("GET", "DELETE")),
    *((method, SHARD + "/snapshots") for method in ("GET", "POST")),
    *((method, SHARD + "/snapshots/{snapshot_name}") for method in ("GET", "DELETE")),
    ("PUT", SHARD + "/snapshots/recover"),
    ("POST", SHARD + "/snapshots/upload"),
    ("GET", SHARD + "/snapshot"),
)
"""Method and path of what is answered 501."""

ROUTES = (
    Route("GET", "/", root, "VersionInfo", enveloped=False),
    Route("GET", "/healthz", alive, "text", enveloped=False),
    Route("GET", "/livez", alive, "text", enveloped=False),
    Route("GET", "/readyz", ready, "text", enveloped=False),
    Route("GET", "/telemetry", telemetry, "TelemetryData", None, ("anonymize", "details_level", "timeout")),
    Route("GET", "/issues", issues, "object"),
    Route("DELETE", "/issues", clear_issues, "boolean"),
    *(Route(method, path, not_built, "error") for method, path in NOT_BUILT),
)
