"""``scripts/generate_pb.py``: the shipped copy is fresh, and the check notices when it is not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import qdrantlite

ROOT = Path(qdrantlite.__path__[0]).parent
PB = Path("qdrantlite", "wire", "pb")


def generate(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "scripts" / "generate_pb.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A project of which only the contract and its compiled form exist."""
    for folder in ("protos", "scripts", PB):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_shipped_copy_is_fresh() -> None:
    done = generate(ROOT, "--check")
    assert done.returncode == 0, done.stderr


def test_check_names_what_a_changed_contract_makes_stale_and_generating_mends_it(copy: Path) -> None:
    contract = copy / "protos" / "qdrant.proto"
    contract.write_text(contract.read_text().replace("string title = 1;", "string title = 9;"))
    shipped = {path.name: path.read_bytes() for path in (copy / PB).iterdir()}

    stale = generate(copy, "--check")
    assert stale.returncode != 0
    assert "descriptors.binpb" in stale.stderr
    assert {path.name: path.read_bytes() for path in (copy / PB).iterdir()} == shipped

    assert generate(copy).returncode == 0
    assert generate(copy, "--check").returncode == 0


def test_check_notices_a_stub_without_contract(copy: Path) -> None:
    shutil.copy(copy / PB / "qdrant.pyi", copy / PB / "stray.pyi")
    done = generate(copy, "--check")
    assert done.returncode != 0
    assert "stray.pyi" in done.stderr


def test_error_in_the_contract_is_shown(copy: Path) -> None:
    (copy / "protos" / "qdrant.proto").write_text("no protocol buffers")
    done = generate(copy)
    assert done.returncode != 0
    assert "qdrant.proto:1:1" in done.stderr
