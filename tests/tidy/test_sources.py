"""House rules that linters do not know. Each test lists all offenders, so that one run shows everything."""

import ast
import re
from collections.abc import Iterator

from tests.tidy.sources import Source, functions, package_sources, python_sources, texts

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60

BANNED_MODULES = frozenset({"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "handler"})
BANNED_ENDINGS = ("Manager", "Handler", "Service", "Processor", "Base", "Util", "Utils", "Helper", "Helpers")
TESTS_OF_RULES = "tests/tidy/"

MACHINE_PATH = re.compile(r"(?<![\w.*\"'}<>)-])/(?:work|root|home|Users|tmp|mnt|opt)/\w")
REGISTRY_HOST = re.compile(r"pypi\.org|pythonhosted\.org|proxy\.golang\.org|crates\.io|registry\.npmjs\.org")
DIARY = re.compile(r"(?i:\bsub-?agents?\b|\bissue #?\d+|\bphase \d+)|\b(?:TODO|FIXME|XXX)\b")
IGNORE = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma:\s*no cover|mypy:|ruff:|fmt:\s*off)")
IGNORE_WITH_REASON = re.compile(r"#\s*(?:noqa:\s*[A-Z0-9, ]+|type:\s*ignore\[[\w, -]+\])\s+#\s*\S+|#\s*fmt:\s*o")


def test_modules_fit_a_sitting() -> None:
    long = [f"{s.name}: {len(s.lines)} lines" for s in python_sources() if len(s.lines) > MODULE_LINES_MAX]
    assert not long, "\n".join(long)


def test_functions_fit_a_screen() -> None:
    long = [
        f"{source.name}:{function.lineno} {function.name}: {size} lines"
        for source in python_sources()
        for function in functions(source.tree)
        if (size := (function.end_lineno or function.lineno) - function.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert not long, "\n".join(long)


def test_names_say_what_a_thing_is() -> None:
    modules = [s.name for s in python_sources() if BANNED_MODULES.intersection(s.name.removesuffix(".py").split("/"))]
    classes = [
        f"{source.name}:{node.lineno} {node.name}"
        for source in python_sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith(BANNED_ENDINGS)
    ]
    assert not modules + classes, "\n".join(modules + classes)


def test_modules_and_public_definitions_have_docstrings() -> None:
    documented = {name for source in package_sources() for name in _documented_methods(source)}
    bare = [text for source in package_sources() for text in _without_docstring(source, documented)]
    bare += [source.name for source in python_sources() if source.text and not ast.get_docstring(source.tree)]
    assert not bare, "\n".join(sorted(set(bare)))


def _documented_methods(source: Source) -> Iterator[str]:
    """A method that repeats the name of a documented one (of a protocol, mostly) has its contract there."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef):
            yield from (method.name for method in functions(node) if ast.get_docstring(method))


def _without_docstring(source: Source, documented: set[str]) -> Iterator[str]:
    for node in source.tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield f"{source.name}:{node.lineno} {node.name}"
        for method in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                known = method.name.startswith("_") or method.name in documented
                if not known and not ast.get_docstring(method):
                    yield f"{source.name}:{method.lineno} {node.name}.{method.name}"


def test_no_machine_paths_hosts_or_diary() -> None:
    found = [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in texts()
        if not name.startswith(TESTS_OF_RULES)
        for number, line in enumerate(text.splitlines(), 1)
        if len(line) < 2000 and any(rule.search(line) for rule in (MACHINE_PATH, REGISTRY_HOST, DIARY))
    ]
    assert not found, "\n".join(found)


def test_imports_are_at_the_top_of_modules() -> None:
    late = sorted(
        {
            f"{source.name}:{node.lineno}"
            for source in python_sources()
            for function in functions(source.tree)
            for node in ast.walk(function)
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
    )
    assert not late, "\n".join(late)


def test_every_ignore_names_its_rule_and_its_reason() -> None:
    bare = [
        f"{source.name}:{number}: {line.strip()}"
        for source in python_sources()
        if not source.name.startswith(TESTS_OF_RULES)
        for number, line in enumerate(source.lines, 1)
        if IGNORE.search(line) and not IGNORE_WITH_REASON.search(line)
    ]
    assert not bare, "\n".join(bare)


def test_every_skip_says_why() -> None:
    bare = [
        f"{source.name}:{node.lineno}"
        for source in python_sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute)
        and node.attr in ("skip", "skipif", "xfail")
        and not _has_reason(source, node)
    ]
    assert not bare, "\n".join(bare)


def _has_reason(source: Source, mark: ast.Attribute) -> bool:
    """``pytest.skip("why")``, ``pytest.mark.skipif(…, reason="why")``; attributes of other objects do not count."""
    if not ast.unparse(mark.value).startswith("pytest"):
        return True
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and node.func is mark:
            texts_given = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "reason")]
            return any(isinstance(value, ast.Constant) and bool(value.value) for value in texts_given)
    return False
