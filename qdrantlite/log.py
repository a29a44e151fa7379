"""Where log lines go: plain text to standard error, one line per event, time in UTC.

Modules log through ``logging.getLogger(__name__)``. Only the command line configures logging; a program that holds the
server inside itself decides for itself what to do with the lines.
"""

import logging
import sys
import time
from typing import TextIO

from qdrantlite.settings import LogLevel

LAYOUT = "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(name)s: %(message)s"


def configure_logging(level: LogLevel, stream: TextIO | None = None) -> None:
    """Lines of ``level`` and above go to ``stream`` (standard error), those of libraries from WARNING on."""
    lines = logging.StreamHandler(sys.stderr if stream is None else stream)
    lines.setFormatter(_formatter())
    logging.basicConfig(handlers=[lines], level=max(logging.getLevelName(level), logging.WARNING), force=True)
    logging.getLogger("qdrantlite").setLevel(level)


def _formatter() -> logging.Formatter:
    formatter = logging.Formatter(LAYOUT, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    return formatter
