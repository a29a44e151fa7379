"""The command line: ``qdrantlite``, or ``python -m qdrantlite``.

Reads options, and loads what they ask for: who asks for the version or for help does not wait for the server. What the
user can mend is one line on standard error and exit code 1; a command that cannot be read, exit code 2. Standard output
gets one line, once the server answers: ``ready grpc=HOST:PORT http=HOST:PORT storage=FOLDER``.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name

from qdrantlite.version import API_VERSION, __version__

COMMANDS = {"serve": "qdrantlite.serve_command:serve_command"}
"""Where each is, by name: it gets the options, and is loaded when it is asked for."""

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
    """What the command line understands: ``command`` is None or ``serve``, with its options."""
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the command; ``arguments`` are those of the process unless given."""
    parser = make_parser()
    options = vars(parser.parse_args(arguments))
    command = options.pop("command")
    if command is None:
        parser.print_help(sys.stderr)
        sys.exit(2)
    resolve_name(COMMANDS[command])(**options)


if __name__ == "__main__":
    main()
