"""The source files that house rules are about, parsed once."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).resolve().parents[2]
PYTHON_FOLDERS = ("qdrantlite", "tests", "scripts", "examples", "benchmarks")
TEXT_FOLDERS = (*PYTHON_FOLDERS, "docs", "protos", ".ci")
TEXT_SUFFIXES = frozenset({".py", ".pyi", ".md", ".toml", ".proto", ".yaml", ".yml", ".txt", ".json", ""})
NOT_OURS = frozenset({"LICENSE", ".gitignore", ".git"})
"""``.git`` is a file in a working tree beside the first."""
CACHES = frozenset({"__pycache__", ".pytest_cache", ".hypothesis"})

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One Python file; ``name`` is its path from the root of the project, with slashes."""

    name: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> list[str]:
        """The text by lines; line 1 of the file is item 0."""
        return self.text.splitlines()


def _files(folders: tuple[str, ...]) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and not CACHES.intersection(path.parts):
                yield path


@cache
def python_sources() -> tuple[Source, ...]:
    """Every Python file of the project."""
    return tuple(
        Source(path.relative_to(ROOT).as_posix(), text := path.read_text(encoding="utf-8"), ast.parse(text))
        for path in _files(PYTHON_FOLDERS)
        if path.suffix == ".py"
    )


def package_sources() -> tuple[Source, ...]:
    """Those that are installed."""
    return tuple(source for source in python_sources() if source.name.startswith("qdrantlite/"))


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """Name and content of every text that people read: code, documents, settings of tools."""
    top = [path for path in sorted(ROOT.iterdir()) if path.is_file() and path.name not in NOT_OURS]
    return tuple(
        (path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for path in (*top, *_files(TEXT_FOLDERS))
        if path.suffix in TEXT_SUFFIXES
    )


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function and method below ``tree``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
