"""The programs that ask: how each is built, and how it is run. Versions stand in the files of each language's own tool.

Commands run in the folder of their program. ``{build}`` is a folder of the program's own that git ignores, ``{data}``
the folder of the points, ``{port}`` the server's port for the program's transport, ``{python}`` this interpreter,
``{path}`` where commands are looked for.
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
    of the guides it follows, or the framework whose usual calls it makes. ``folder`` is where its commands run, from
    the root of the project.
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
        found = re.search(re.escape(before) + r"(\d[\w.]*\w)", (ROOT / file).read_text(encoding="utf-8"))
        assert found, f"{file} does not pin {before}"
        return found[1]


def _python(name: str, module: str, over: str) -> Program:
    run = f"{{python}} -m tests.clients.python.{module} {over.lower()} {{port}} {{data}}"
    return Program(name, ("pyproject.toml", "qdrant-client=="), over, "python", ".", (), run)


def _typescript(over: str) -> Program:
    client = over.lower()
    return Program(
        "TypeScript",
        ("tests/clients/typescript/package.json", f'"@qdrant/js-client-{client}": "'),
        over,
        "typescript",
        "tests/clients/typescript",
        ("cp -Rp . {build}", "npm ci --silent --prefix {build}", "{build}/node_modules/.bin/tsc -p {build}"),
        f"node {{build}}/{client}.js {{port}} {{data}}",
    )


def _framework(package: str, module: str) -> Program:
    home, pins = f"{{build}}/frameworks/{module}", f"tests/clients/frameworks/{module}.txt"
    return Program(
        package,
        (pins, f"{package}=="),
        "REST",
        module,
        ".",
        (f"{{python}} -m venv {home}", f"{home}/bin/python -m pip install --quiet -r {pins}"),
        f"{home}/bin/python -m tests.clients.frameworks.{module} {{port}}",
    )


PROTOS = ("README.md", "The messages and services are those of Qdrant ")
PROGRAMS: tuple[Program, ...] = (
    _python("Python", "examples", "REST"),
    _python("Python", "examples", "gRPC"),
    _python("Python, async", "examples_async", "REST"),
    _python("Python, async", "examples_async", "gRPC"),
    Program(
        "Go",
        ("tests/clients/go/go.mod", "go-client v"),
        "gRPC",
        "go",
        "tests/clients/go",
        ("go build -buildvcs=false -o {build}/guide .",),
        "{build}/guide {port} {data}",
    ),
    Program(
        "Java",
        ("tests/clients/java/pom.xml", "<artifactId>client</artifactId>\n      <version>"),
        "gRPC",
        "java",
        "tests/clients/java",
        ("mvn -q -B -Dbuild={build} compile dependency:copy-dependencies -DincludeScope=runtime",),
        "java -cp {build}/classes:{build}/dependency/* Guide {port} {data}",
    ),
    Program(
        "Rust",
        ("tests/clients/rust/Cargo.toml", 'qdrant-client = { version = "='),
        "gRPC",
        "rust",
        "tests/clients/rust",
        ("cp -Rp . {build}", "cargo build --quiet --manifest-path {build}/Cargo.toml"),
        "{build}/target/debug/guide {port} {data}",
    ),
    _typescript("REST"),
    _typescript("gRPC"),
    Program(
        "C# (its messages, replayed)",
        PROTOS,
        "gRPC",
        "csharp",
        ".",
        (),
        "{python} -m tests.clients.csharp.replay {port} {data}",
    ),
    Program(
        "Ruby stubs of our protos",
        PROTOS,
        "gRPC",
        "ruby",
        "tests/clients/ruby",
        ("./build.sh {build} {python}",),
        "ruby -I {build} guide.rb {port} {data}",
    ),
    Program(
        "grpcurl",
        ("tests/clients/programs.py", "cmd/grpcurl@v"),
        "gRPC",
        "http",
        ".",
        ("env GOBIN={build}/grpcurl go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3",),
        "env PATH={build}/grpcurl:{path} {python} -m tests.clients.commands grpcurl {port} {data}",
    ),
    Program("curl", PROTOS, "REST", "http", ".", (), "{python} -m tests.clients.commands curl {port} {data}"),
    _framework("langchain-qdrant", "langchain"),
    _framework("llama-index-vector-stores-qdrant", "llama_index"),
    _framework("qdrant-haystack", "haystack"),
    _framework("mcp-server-qdrant", "mcp_server"),
    _framework("mem0ai", "mem0"),
)
