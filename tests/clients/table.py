"""The recorded results, and the table that the README makes of them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypedDict

from tests.clients.verdict import OK, WAITS

RECORDED = Path(__file__).resolve().parent / "results.json"
BEGIN, END = "<!-- begin: made by make test-clients -->", "<!-- end: made by make test-clients -->"


class Row(TypedDict):
    """What one client saw; ``cells`` says ``ok`` or what is not."""

    version: str
    over: str
    asked: str
    cells: dict[str, str]


def recorded() -> dict[str, Row]:
    """By the name of the client and its transport."""
    rows: dict[str, Row] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return rows


def record(rows: Mapping[str, Row]) -> None:
    """For reading and for the README's test."""
    RECORDED.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def markdown(rows: Mapping[str, Row]) -> str:
    """One line a client: what it was asked, how many answers are right, and what the others wait for."""
    lines = ["| client | version | over | asked | right | waits for |", "|---|---|---|---|---|---|"]
    for name, row in rows.items():
        cells = row["cells"]
        right = sum(cell == OK for cell in cells.values())
        waits = dict.fromkeys(cell.removeprefix(WAITS) for cell in cells.values() if cell.startswith(WAITS))
        title = name.removesuffix(f" ({row['over']})")
        counted = f"{right} of {len(cells)}"
        columns = (title, row["version"], row["over"], row["asked"], counted, ", ".join(waits) or "–")
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines)


def replaced(readme: str, rows: Mapping[str, Row]) -> str:
    """The README with the table of these rows between the markers."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{markdown(rows)}\n{END}{rest.split(END)[1]}"


def matrix(rows: Mapping[str, Row]) -> Iterator[str]:
    """For a terminal: examples down, clients across."""
    examples = dict.fromkeys(example for row in rows.values() for example in row["cells"])
    for number, name in enumerate(rows, 1):
        yield f"{number:>3}  {name} {rows[name]['version']}"
    width = max(map(len, examples), default=0)
    yield " " * width + "".join(f"{number:>7}" for number in range(1, len(rows) + 1))
    for example in examples:
        cells = (row["cells"].get(example, "") for row in rows.values())
        yield f"{example:<{width}}" + "".join(f"{_short(cell):>7}" for cell in cells)


def _short(cell: str) -> str:
    if cell.startswith(WAITS):
        return "waits"
    return cell if cell in (OK, "") else "WRONG"
