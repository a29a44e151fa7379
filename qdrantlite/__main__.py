"""The command line: ``qdrantlite``, or ``python -m qdrantlite``.

Reads options, loads settings, runs the server. What the user can mend is one line on standard error and exit code 1;
a command that cannot be read, exit code 2. Standard output gets one line, once the server answers:
``ready grpc=HOST:PORT http=HOST:PORT storage=FOLDER``.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from qdrantlite import startup  # first of ours: NumPy must not be loaded before it
from qdrantlite.errors import QdrantliteError
from qdrantlite.log import configure_logging
from qdrantlite.server import Addresses, CannotListen, serve
from qdrantlite.settings import Settings, WrongSettings, load_settings, override
from qdrantlite.version import API_VERSION, __version__

logger = logging.getLogger("qdrantlite")

ABOUT = """\
The vector database that speaks Qdrant's API and installs with pip.

Start it with `qdrantlite serve`, then point any Qdrant client at it.
"""

ABOUT_SERVE = """\
Run the server until Ctrl-C or SIGTERM.

Settings come, weakest first, from config/config.yaml, config/$RUN_MODE.yaml, config/local.yaml, the file given by
--config-path, variables such as QDRANT__SERVICE__GRPC_PORT, and the options below.

When the server answers, it prints one line: ready grpc=HOST:PORT http=HOST:PORT storage=FOLDER.
To stop: the first signal lets calls under way finish, a second one ends the process at once.
"""


def make_parser() -> argparse.ArgumentParser:
    """What the command line understands: ``command`` is None or ``serve``, with the options of ``serve_command``."""
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("qdrantlite", description=ABOUT, formatter_class=shape, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"qdrantlite {__version__} (Qdrant API {API_VERSION})")
    command = parser.add_subparsers(title="commands", dest="command").add_parser(
        "serve",
        help="run the server until Ctrl-C or SIGTERM",
        description=ABOUT_SERVE,
        epilog="example: qdrantlite serve --storage ./storage --grpc-port 6334",
        formatter_class=shape,
        allow_abbrev=False,
    )
    command.add_argument(
        "--storage", type=Path, metavar="FOLDER", help="of the data; made if missing, held by one server [./storage]"
    )
    command.add_argument("--grpc-port", type=int, metavar="PORT", help="gRPC port; 0 takes any free one [6334]")
    command.add_argument("--http-port", type=int, metavar="PORT", help="HTTP port; 0 takes any free one [6333]")
    command.add_argument("--host", help="address to listen on; 0.0.0.0 lets other machines in, unprotected [127.0.0.1]")
    command.add_argument(
        "--config-path", type=Path, metavar="FILE", help="YAML of settings, under names such as service.grpc_port"
    )
    return parser


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the command; ``arguments`` are those of the process unless given."""
    parser = make_parser()
    options = vars(parser.parse_args(arguments))
    if options.pop("command") is None:
        parser.print_help(sys.stderr)
        sys.exit(2)
    serve_command(**options)


if __name__ == "__main__":
    main()
