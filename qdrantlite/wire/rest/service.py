"""Routes about the server itself, and those that are not built, which say so."""

from datetime import UTC, datetime
from typing import NoReturn
from uuid import uuid4

from qdrantlite.errors import NotReady, Unsupported
from qdrantlite.values.record import CollectionInfo
from qdrantlite.values.schema import CollectionConfig
from qdrantlite.version import API_VERSION, COMMIT, TITLE
from qdrantlite.wire.engine import Engine
from qdrantlite.wire.rest.call import Call
from qdrantlite.wire.rest.encode.answer import Answer
from qdrantlite.wire.rest.encode.collection import encode_config
from qdrantlite.wire.rest.routes import COLLECTION, Route

_PARAMS_LEVEL = 1
_CONFIG_LEVEL = 2
_SHARDS_LEVEL = 3
_FEATURES = ("debug", "service_debug_feature", "recovery_mode", "gpu", "rocksdb", "staging")
"""Of Qdrant's, none of which is here."""

_ID = uuid4()
_STARTED = datetime.now(UTC)
"""This process."""


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
    """What this server is and holds. It is told to who asks, and to nobody else. Requests are not counted.

    Who is to pass it on asks for it ``anonymize``d, and reads nothing that has a name.
    """
    level, anonymous = call.count("details_level", 0), call.flag("anonymize")
    call.check_timeout()
    app: dict[str, Answer] = {"name": "qdrantlite", "version": API_VERSION, "startup": _STARTED.isoformat()}
    names = engine.list_collections()
    collections: dict[str, Answer] = {"number_of_collections": len(names)}
    if level >= _PARAMS_LEVEL:
        app["features"] = dict.fromkeys(_FEATURES, False)
        if not anonymous:
            collections["collections"] = [_told(engine, name, level) for name in names]
    return {"id": str(_ID), "app": app, "collections": collections, "cluster": {"enabled": False}}


def _told(engine: Engine, name: str, level: int) -> Answer:
    info = engine.collection_info(name)
    config = encode_config(info.config)
    assert isinstance(config, dict)
    if level < _CONFIG_LEVEL:
        status = "ok" if info.optimizer_error is None else {"error": info.optimizer_error}
        vectors = _vectors(info.config, info.points_count)
        return {"vectors": vectors, "optimizers_status": status, "params": config["params"]}
    told: dict[str, Answer] = {"id": name, "init_time_ms": 0, "config": config}
    if level >= _SHARDS_LEVEL:
        told |= {"shards": [_shard(info)], "transfers": [], "resharding": []}
    return told


def _shard(info: CollectionInfo) -> Answer:
    """The only one."""
    local: dict[str, Answer] = {
        "variant_name": "local shard",
        "status": info.status.name.lower(),
        "total_optimized_points": info.indexed_vectors_count,
        "num_points": info.points_count,
        "num_vectors": _vectors(info.config, info.points_count),
        "update_queue": {"length": info.update_queue_length},
    }
    return {"id": 0, "key": None, "local": local, "remote": [], "replicate_states": {"0": "Active"}}


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
    ("GET", "/profiler/slow_requests"),
    ("GET", COLLECTION + "/memory"),
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
