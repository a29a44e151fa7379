"""The command ``serve``: settings, the server, and the one line that says where it answers."""

import logging
import os
import sys
from pathlib import Path

from qdrantlite import startup  # first of ours: NumPy must not be loaded before it
from qdrantlite.errors import QdrantliteError
from qdrantlite.log import configure_logging
from qdrantlite.server import Addresses, CannotListen, serve
from qdrantlite.settings import Settings, WrongSettings, load_settings, override

logger = logging.getLogger("qdrantlite")


def serve_command(
    *, storage: Path | None, grpc_port: int | None, http_port: int | None, host: str | None, config_path: Path | None
) -> None:
    """Runs the server until a signal ends it. Exits with code 1 when it cannot."""
    try:
        loaded = load_settings(os.environ, Path(), config_path)
        settings = override(loaded.settings, storage_path=storage, grpc_port=grpc_port, http_port=http_port, host=host)
        configure_logging(settings.log_level)
        for warning in loaded.warnings:
            logger.warning(warning)
        if loaded.idle:
            logger.info("settings without effect in this server: %s", ", ".join(loaded.idle))
        serve(settings, lambda addresses: _announce(addresses, settings))
    except QdrantliteError as error:
        sys.exit(f"qdrantlite: {error.report}")
    except (WrongSettings, CannotListen) as error:
        sys.exit(f"qdrantlite: {error}")


def _announce(addresses: Addresses, settings: Settings) -> None:
    startup.finish()
    sys.stdout.write(f"ready {addresses} storage={settings.storage_path}\n")
    sys.stdout.flush()
