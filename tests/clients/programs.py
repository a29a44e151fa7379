"""The programs that ask: how each is built, and how it is run. Versions stand in the files of each language's own tool.

Commands run in the folder of their program. ``{build}`` is a folder of the program's own that git ignores, ``{data}``
the folder of the points, ``{port}`` the server's port for the program's transport, ``{python}`` this interpreter.
"""

import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@dataclass(frozen=True, slots=True)
class Program:
    """One client over one transport.

    ``pin`` is the file that names its version, and what stands before it there; ``dialect`` the language whose snippets
    it follows. ``folder`` is where its commands run, from the root of the project.
    """

    name: str
    pin: tuple[str, str]
    over: str
    dialect: str
    folder: str
    build: tuple[str, ...]
    run: str

    @property
    def version(self) -> str:
        """As pinned."""
        file, before = self.pin
        found = re.search(re.escape(before) + r"([\w.]+)", (ROOT / file).read_text(encoding="utf-8"))
        assert found, f"{file} does not pin {before}"
        return found[1]


def _python(name: str, module: str, over: str) -> Program:
    run = f"{{python}} -m tests.clients.python.{module} {over.lower()} {{port}} {{data}}"
    return Program(name, ("pyproject.toml", "qdrant-client=="), over, "python", ".", (), run)


PROGRAMS: tuple[Program, ...] = (
    _python("Python", "examples", "gRPC"),
    _python("Python, async", "examples_async", "gRPC"),
    Program(
        "Go",
        ("tests/clients/go/go.mod", "go-client v"),
        "gRPC",
        "go",
        "tests/clients/go",
        ("go build -o {build}/examples .",),
        "{build}/examples {port} {data}",
    ),
)
