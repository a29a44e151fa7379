"""Settings: sources and their order, types, unknown keys, refused protections."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from qdrantlite.settings import KEYS, PROTECTIONS, Settings, WrongSettings, load_settings, override

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Puts a settings file into the folder that the server is started in."""

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write_file


def _port(tmp_path: Path, environment: Mapping[str, str], config_path: Path | None = None) -> int | None:
    return load_settings(environment, tmp_path, config_path).settings.grpc_port


def test_without_sources_the_built_in_values_hold(tmp_path: Path) -> None:
    loaded = load_settings({"PATH": "x", "RUN_MODE": ""}, tmp_path)
    assert loaded.settings == Settings(
        host="127.0.0.1", http_port=6333, grpc_port=6334, storage_path=Path("storage"), log_level="INFO"
    )
    assert loaded.warnings == loaded.idle == ()


def test_each_source_wins_over_the_one_before(tmp_path: Path, write: Write) -> None:
    mode = {"RUN_MODE": "production"}
    write("config/config.yaml", "service: {grpc_port: 1, http_port: 11}")
    assert _port(tmp_path, mode) == 1
    write("config/development.yaml", "service: {grpc_port: 99}")
    assert _port(tmp_path, mode) == 1
    write("config/production.yaml", "service: {grpc_port: 2}")
    assert _port(tmp_path, mode) == 2
    write("config/local.yaml", "service: {grpc_port: 3}")
    assert _port(tmp_path, mode) == 3
    file = write("own.yaml", "service: {grpc_port: 4}")
    assert _port(tmp_path, mode, file) == 4
    environment = mode | {"QDRANT__SERVICE__GRPC_PORT": "5"}
    assert _port(tmp_path, environment, file) == 5
    settings = load_settings(environment, tmp_path, file).settings
    assert override(settings, grpc_port=6, host=None).grpc_port == 6
    assert settings.http_port == 11, "keys that a later source does not name keep their value"


def test_run_mode_is_development_unless_set(tmp_path: Path, write: Write) -> None:
    write("config/development.yaml", "service: {grpc_port: 7}")
    assert _port(tmp_path, {}) == 7


def test_environment_reaches_every_key_in_force(tmp_path: Path) -> None:
    values = {
        "log_level": "debug,raft=warn",
        "service.host": "::1",
        "service.http_port": "0",
        "service.grpc_port": "null",
        "service.max_request_size_mb": "1",
        "service.enable_cors": "false",
        "service.http_keep_alive_timeout_sec": "7",
        "qdrantlite.auto_columns": "false",
        "storage.storage_path": "elsewhere",
    }
    assert values.keys() == KEYS.keys()
    environment = {"QDRANT__" + key.upper().replace(".", "__"): value for key, value in values.items()}
    assert load_settings(environment, tmp_path).settings == Settings(
        host="::1",
        http_port=0,
        grpc_port=None,
        storage_path=Path("elsewhere"),
        log_level="DEBUG",
        max_request_size_mb=1,
        enable_cors=False,
        http_keep_alive_timeout_sec=7,
        auto_columns=False,
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("service: {grpc_port: 66000}", "service.grpc_port (%s): a port between 0 and 65535 is expected, not 66000"),
        ("service: {grpc_port: -1}", "service.grpc_port (%s): a port between 0 and 65535 is expected, not -1"),
        ("service: {http_port: true}", "service.http_port (%s): a whole number is expected, not True"),
        ("service: {http_port: null}", "service.http_port (%s): a whole number is expected, not None"),
        ("service: {max_request_size_mb: 0}", "service.max_request_size_mb (%s): a whole number from 1 is expected"),
        ("service: {enable_cors: 1}", "service.enable_cors (%s): true or false is expected, not 1"),
        ("service: {host: 5}", "service.host (%s): a text is expected, not 5"),
        ("storage: {storage_path: ''}", "storage.storage_path (%s): a text is expected, not ''"),
        ("log_level: loud", "one of trace, debug, info, warn, warning, error, off is expected, not 'loud'"),
        ("service: 5", "service (%s): a section is expected, not 5"),
        ("- service", "%s: a mapping of sections is expected"),
        ("a: [", "%s is not YAML"),
    ],
)
def test_wrong_file_is_refused_with_key_and_source(tmp_path: Path, write: Write, text: str, complaint: str) -> None:
    file = write("own.yaml", text)
    with pytest.raises(WrongSettings) as caught:
        load_settings({}, tmp_path, file)
    assert complaint.replace("%s", str(file)) in str(caught.value)


def test_wrong_variable_and_wrong_option_are_named(tmp_path: Path) -> None:
    with pytest.raises(WrongSettings, match=r"\(QDRANT__SERVICE__HTTP_PORT\): a whole number is expected, not 'x'"):
        load_settings({"QDRANT__SERVICE__HTTP_PORT": "x"}, tmp_path)
    with pytest.raises(WrongSettings, match=r"--http-port \(command line\): a port .* not 70000"):
        override(Settings(), http_port=70_000)


def test_missing_config_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongSettings, match=r"cannot read .*nowhere\.yaml"):
        load_settings({}, tmp_path, tmp_path / "nowhere.yaml")


def test_unknown_keys_warn_and_idle_keys_are_listed(tmp_path: Path, write: Write) -> None:
    file = write("own.yaml", "service: {grpc_prot: 1}\nstorage: {hnsw_index: {m: 32}, wal: null}\ncluster:\n")
    loaded = load_settings({"QDRANT__SERVICE__COLOUR": "red", "QDRANT__TELEMETRY_DISABLED": "true"}, tmp_path, file)
    assert loaded.settings == Settings()
    assert loaded.warnings == (
        f"unknown setting service.grpc_prot ({file}) is ignored",
        "unknown setting service.colour (QDRANT__SERVICE__COLOUR) is ignored",
    )
    assert loaded.idle == ("storage.hnsw_index.m", "storage.wal", "cluster", "telemetry_disabled")


@pytest.mark.parametrize("key", PROTECTIONS)
def test_protection_that_is_not_there_is_refused_unless_off(tmp_path: Path, key: str) -> None:
    variable = "QDRANT__" + key.upper().replace(".", "__")
    load_settings({variable: "false"}, tmp_path)
    with pytest.raises(WrongSettings, match="asks for something that this version does not have"):
        load_settings({variable: "true"}, tmp_path)


def test_empty_file_and_empty_section_change_nothing(tmp_path: Path, write: Write) -> None:
    assert load_settings({}, tmp_path, write("own.yaml", "# nothing\n")).settings == Settings()
    assert load_settings({}, tmp_path, write("own.yaml", "service:\n")).settings == Settings()
