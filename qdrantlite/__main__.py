"""The command line: ``qdrantlite``, or ``python -m qdrantlite``.

Reads options, loads settings, runs the server. What the user can mend is one line on standard error and exit code 1.
Standard output gets one line, once the server answers: ``ready grpc=HOST:PORT http=HOST:PORT storage=FOLDER``.
"""

import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from qdrantlite import startup  # first of ours: NumPy must not be loaded before it
from qdrantlite.errors import QdrantliteError
from qdrantlite.log import configure_logging
from qdrantlite.server import Addresses, CannotListen, serve
from qdrantlite.settings import Settings, WrongSettings, load_settings, override
from qdrantlite.version import API_VERSION, __version__

logger = logging.getLogger("qdrantlite")

app = typer.Typer(
    name="qdrantlite",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"qdrantlite {__version__} (Qdrant API {API_VERSION})")
        raise typer.Exit


@app.callback()
def describe(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """The vector database that speaks Qdrant's API and installs with pip.

    Start it with `qdrantlite serve`, then point any Qdrant client at it.
    """


@app.command("serve", epilog="Example: qdrantlite serve --storage ./storage --grpc-port 6334")
def serve_command(
    *,
    storage: Annotated[
        Path | None, typer.Option(help="Folder of the data; made if missing, held by one server. [./storage]")
    ] = None,
    grpc_port: Annotated[int | None, typer.Option(help="gRPC port; 0 takes any free one. [6334]")] = None,
    http_port: Annotated[int | None, typer.Option(help="HTTP port; 0 takes any free one. [6333]")] = None,
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in, unprotected. [127.0.0.1]"),
    ] = None,
    config_path: Annotated[
        Path | None, typer.Option(help="YAML file of settings under Qdrant's names, such as service.grpc_port.")
    ] = None,
) -> None:
    """Run the server until Ctrl-C or SIGTERM.

    Settings come, weakest first, from config/config.yaml, config/$RUN_MODE.yaml, config/local.yaml, the file given by
    --config-path, variables such as QDRANT__SERVICE__GRPC_PORT, and the options below.

    When the server answers, it prints one line: ready grpc=HOST:PORT http=HOST:PORT storage=FOLDER.
    To stop: the first signal lets calls under way finish, a second one ends the process at once.
    """
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
        _give_up(error.message)
    except (WrongSettings, CannotListen) as error:
        _give_up(str(error))


def _announce(addresses: Addresses, settings: Settings) -> None:
    startup.finish()
    typer.echo(f"ready {addresses} storage={settings.storage_path}")


def _give_up(text: str) -> None:
    typer.echo(f"qdrantlite: {text}", err=True)
    raise typer.Exit(1)


def main() -> None:
    """Entry point of the command."""
    app(prog_name="qdrantlite")


if __name__ == "__main__":
    main()
