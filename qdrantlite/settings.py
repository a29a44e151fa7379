"""Settings of a server: built-in values, YAML files and environment variables, under Qdrant's names.

Later sources win, key by key: built-in < ``config/config.yaml`` < ``config/$RUN_MODE.yaml`` (``development`` when the
variable is not set) < ``config/local.yaml`` < the file given by ``--config-path`` < ``QDRANT__SECTION__KEY`` variables
< options of the command line. ``docs/settings.md`` lists the keys.

Invariant: a value that reaches ``Settings`` has the right type and range. Keys that Qdrant knows and this server has no
use for are accepted; keys nobody knows become warnings; keys that would protect the server, were they in force, are
refused, since starting without the protection would be worse than not starting.
Knows nothing of the server; reads files, and nothing but what its arguments name.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeAlias

LogLevel: TypeAlias = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

ENVIRONMENT_PREFIX = "QDRANT__"
PORT_MAX = 65_535
_LEVELS: Mapping[str, LogLevel] = {
    "trace": "DEBUG",
    "debug": "DEBUG",
    "info": "INFO",
    "warn": "WARNING",
    "warning": "WARNING",
    "error": "ERROR",
    "off": "CRITICAL",
}


class WrongSettings(ValueError):
    """A setting that cannot be used; the text names the key, where it was set, and what is expected."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server is started with. A port of 0 means: any free one. ``grpc_port`` ``None`` switches gRPC off."""

    host: str = "127.0.0.1"
    http_port: int = 6333
    grpc_port: int | None = 6334
    storage_path: Path = Path("storage")
    log_level: LogLevel = "INFO"
    max_request_size_mb: int = 32
    enable_cors: bool = True
    http_keep_alive_timeout_sec: int = 5
    auto_columns: bool = True


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings; a warning for each key that nobody knows; the given keys of Qdrant's that have no effect here."""

    settings: Settings
    warnings: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text is expected")
    return value


def _whole(value: object) -> int:
    """Variables of the environment arrive as text; ``True`` is an int to Python, but not to the user."""
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("a whole number is expected")


def _positive(value: object) -> int:
    number = _whole(value)
    if number < 1:
        raise ValueError("a whole number from 1 is expected")
    return number


def _switch(value: object) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, bool):
        return value
    raise ValueError("true or false is expected")


def _port(value: object) -> int:
    port = _whole(value)
    if not 0 <= port <= PORT_MAX:
        raise ValueError(f"a port between 0 and {PORT_MAX} is expected")
    return port


def _port_or_none(value: object) -> int | None:
    return None if value is None or value in ("null", "") else _port(value)


def _path(value: object) -> Path:
    return value if isinstance(value, Path) else Path(_text(value))


def _level(value: object) -> LogLevel:
    """Qdrant also takes filters such as ``debug,raft=warn``: the part without a module name counts."""
    if isinstance(value, str):
        for part in value.lower().split(","):
            if part.strip() in _LEVELS:
                return _LEVELS[part.strip()]
    raise ValueError(f"one of {', '.join(_LEVELS)} is expected")


@dataclass(frozen=True, slots=True)
class Key:
    """A key in force: the field of ``Settings`` that it fills, and how its value is read (``ValueError``: not so)."""

    field: str
    read: Callable[[object], Any]


KEYS: Mapping[str, Key] = {
    "log_level": Key("log_level", _level),
    "service.host": Key("host", _text),
    "service.http_port": Key("http_port", _port),
    "service.grpc_port": Key("grpc_port", _port_or_none),
    "service.max_request_size_mb": Key("max_request_size_mb", _positive),
    "service.enable_cors": Key("enable_cors", _switch),
    "service.http_keep_alive_timeout_sec": Key("http_keep_alive_timeout_sec", _positive),
    "qdrantlite.auto_columns": Key("auto_columns", _switch),
    "storage.storage_path": Key("storage_path", _path),
}
_READERS: Mapping[str, Callable[[object], Any]] = {key.field: key.read for key in KEYS.values()}

PROTECTIONS = (
    "service.api_key",
    "service.alt_api_key",
    "service.read_only_api_key",
    "service.jwt_rbac",
    "service.enable_tls",
)
"""Refused when switched on."""

WITHOUT_EFFECT = (
    "logger",
    "debugger",
    "telemetry_disabled",
    "service.max_workers",
    "service.verify_https_client_certificate",
    "service.hardware_reporting",
    "service.metrics_prefix",
    "service.metrics_port",
    "service.enable_snapshot_url_recovery",
    "service.enable_static_content",
    "service.static_content_dir",
    "service.slow_query_secs",
    "storage.snapshots_path",
    "storage.snapshots_config",
    "storage.temp_path",
    "storage.on_disk_payload",
    "storage.wal",
    "storage.performance",
    "storage.optimizers",
    "storage.optimizers_overwrite",
    "storage.hnsw_index",
    "storage.hnsw_global_config",
    "storage.collection",
    "storage.max_collections",
    "storage.update_queue_size",
    "storage.update_concurrency",
    "storage.shard_transfer_method",
    "storage.handle_collection_load_errors",
    "storage.async_scorer",
    "storage.mmap_advice",
    "storage.low_memory_mode",
    "storage.recovery_mode",
    "storage.node_type",
    "cluster",
    "tls",
    "inference",
    "feature_flags",
    "gpu",
    "audit",
)
"""Qdrant's other keys; a name stands for everything below it too."""


@dataclass(frozen=True, slots=True)
class _Given:
    """One value, under its dotted key, with where it came from in words for the user."""

    key: str
    value: object
    source: str


def load_settings(environment: Mapping[str, str], folder: Path, config_path: Path | None = None) -> Loaded:
    """Reads ``folder/config/*.yaml`` (each may be missing), then ``config_path`` (may not), then ``environment``.

    Raises WrongSettings: a value of the wrong type, a file that is not readable or not YAML, a protection switched on.
    """
    given: dict[str, _Given] = {}
    for name in ("config", environment.get("RUN_MODE") or "development", "local"):
        file = folder / "config" / f"{name}.yaml"
        if file.is_file():
            given.update((item.key, item) for item in _read_file(file))
    if config_path is not None:
        given.update((item.key, item) for item in _read_file(config_path))
    given.update((item.key, item) for item in _read_environment(environment))
    return _settle(given.values())


def override(settings: Settings, **options: object) -> Settings:
    """``settings`` with the options of the command line laid over them; an option of ``None`` was not given.

    Names are those of the fields of ``Settings``. Raises WrongSettings.
    """
    changes: dict[str, Any] = {}
    for name, value in options.items():
        if value is not None:
            option = "--" + name.removesuffix("_path").replace("_", "-")
            item = _Given(option, value, "command line")
            changes[name] = _checked(item, _READERS[name])
    return replace(settings, **changes)


def _settle(given: Iterable[_Given]) -> Loaded:
    changes: dict[str, Any] = {}
    warnings = []
    idle = []
    for item in given:
        if item.key in KEYS:
            key = KEYS[item.key]
            changes[key.field] = _checked(item, key.read)
        elif item.key in PROTECTIONS:
            _refuse_protection(item)
        elif _has_no_effect(item.key):
            idle.append(item.key)
        elif any(known.startswith(item.key + ".") for known in (*KEYS, *PROTECTIONS, *WITHOUT_EFFECT)):
            if item.value is not None:
                raise WrongSettings(f"{item.key} ({item.source}): a section is expected, not {item.value!r}")
        else:
            warnings.append(f"unknown setting {item.key} ({item.source}) is ignored")
    return Loaded(replace(Settings(), **changes), tuple(warnings), tuple(idle))


def _checked(item: _Given, read: Callable[[object], Any]) -> Any:
    try:
        return read(item.value)
    except ValueError as error:
        raise WrongSettings(f"{item.key} ({item.source}): {error}, not {item.value!r}") from None


def _refuse_protection(item: _Given) -> None:
    off = item.value is None or item.value is False or str(item.value).lower() in ("", "false", "null")
    if not off:
        raise WrongSettings(f"{item.key} ({item.source}) asks for something that this version does not have; unset it")


def _has_no_effect(key: str) -> bool:
    return any(key == known or key.startswith(known + ".") for known in WITHOUT_EFFECT)


def _read_file(file: Path) -> Iterator[_Given]:
    # Loaded with the first file: 1 MB and 12 ms of a start, and most servers are told what to do by variables.
    yaml = import_module("yaml")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongSettings(f"cannot read {file}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WrongSettings(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    if content is None:
        return
    if not isinstance(content, dict):
        raise WrongSettings(f"{file}: a mapping of sections is expected, not {content!r}")
    yield from _flatten(content, "", str(file))


def _flatten(section: dict[object, object], prefix: str, source: str) -> Iterator[_Given]:
    for name, value in section.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.", source)
        else:
            yield _Given(f"{prefix}{name}", value, source)


def _read_environment(environment: Mapping[str, str]) -> Iterator[_Given]:
    for name, value in environment.items():
        if name.upper().startswith(ENVIRONMENT_PREFIX):
            yield _Given(name[len(ENVIRONMENT_PREFIX) :].lower().replace("__", "."), value, name)
