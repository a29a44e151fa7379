"""Compiles ``protos/`` into ``qdrantlite/wire/pb/``: the descriptor set, and a module with its stub for each file.

    python scripts/generate_pb.py            writes what is out of date
    python scripts/generate_pb.py --check    writes nothing, fails if something is

Needs grpcio-tools and mypy-protobuf. The output depends only on ``protos/`` and on the versions of these two.
"""

import argparse
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import FileDescriptorSet

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
TARGET = ROOT / "qdrantlite" / "wire" / "pb"
DESCRIPTORS = "descriptors.binpb"
TIMESTAMP = "google/protobuf/timestamp.proto"

MODULE = '''"""What ``{proto}`` defines: see the stub beside this file. Made by ``make proto``."""

from qdrantlite.wire.pb.pool import names_in

globals().update(names_in("{proto}"))
'''


def module_name(proto: str) -> str:
    """Name of the module in ``wire/pb`` for a .proto file: its stem, preceded by the version for reflection."""
    stem = Path(proto).stem
    return f"{stem}_{Path(proto).parent.name}" if "/reflection/" in proto else stem


def read_protos(protos: list[str], scratch: Path) -> FileDescriptorSet:
    """The files and all that they import, comments included; ends the script if protoc finds an error.

    Warnings of protoc stay unseen: an entry file that only imports is meant.
    """
    target = scratch / "all.binpb"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", f"--descriptor_set_out={target}"]
    options = ["--include_imports", "--include_source_info"]
    run = subprocess.run([*command, *options, *protos], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"protoc failed:\n{run.stderr}")
    return FileDescriptorSet.FromString(target.read_bytes())


def make_stubs(protos: list[str], descriptors: FileDescriptorSet) -> dict[str, str]:
    """Runs mypy-protobuf, a plugin of protoc; returns the text of the stub by .proto file."""
    plugin = shutil.which("protoc-gen-mypy", path=sysconfig.get_path("scripts")) or shutil.which("protoc-gen-mypy")
    if plugin is None:
        sys.exit("protoc-gen-mypy is missing: install mypy-protobuf")
    request = CodeGeneratorRequest(file_to_generate=protos, proto_file=descriptors.file, parameter="quiet")
    run = subprocess.run([plugin], input=request.SerializeToString(), stdout=subprocess.PIPE, check=True)
    made = CodeGeneratorResponse.FromString(run.stdout).file
    return {file.name.replace("_pb2.pyi", ".proto"): file.content for file in made}


def stub_for_package(stub: str, protos: list[str]) -> str:
    """Makes the imports of a stub, which name modules as protoc would, name the modules of ``wire/pb``."""
    for proto in protos:
        package, _, generated = proto.removesuffix(".proto").replace("/", ".").rpartition(".")
        generated += "_pb2"
        ours = f"from qdrantlite.wire.pb import {module_name(proto)}"
        theirs = f"from {package} import {generated}" if package else f"import {generated}"
        stub = re.sub(rf"^{re.escape(theirs)} as (\w+)$", rf"{ours} as \1", stub, flags=re.MULTILINE)
    assert not re.search(r"^(from .*)?import \w+_pb2", stub, flags=re.MULTILINE), "an import was not understood"
    return stub


def compile_protos() -> dict[str, bytes]:
    """Returns what ``wire/pb`` must hold: file name to content.

    Comments go into the stubs, save those of the timestamp, which are not ours; the shipped descriptors have none.
    """
    ours = sorted(path.relative_to(PROTOS).as_posix() for path in PROTOS.rglob("*.proto"))
    protos = [*ours, TIMESTAMP]
    with tempfile.TemporaryDirectory() as scratch:
        descriptors = read_protos(protos, Path(scratch))
    for file in descriptors.file:
        if file.name == TIMESTAMP:
            file.ClearField("source_code_info")
    stubs = make_stubs(protos, descriptors)
    for file in descriptors.file:
        file.ClearField("source_code_info")
    made = {DESCRIPTORS: descriptors.SerializeToString(deterministic=True)}
    for proto in protos:
        made[f"{module_name(proto)}.pyi"] = stub_for_package(stubs[proto], protos).encode()
        made[f"{module_name(proto)}.py"] = MODULE.format(proto=proto).encode()
    return made


def stale_files(made: dict[str, bytes]) -> list[str]:
    """Names of files in ``wire/pb`` that differ from what was made, are missing, or belong to no .proto file."""
    kept = {path.name: path.read_bytes() for path in TARGET.glob("*") if path.suffix in {".pyi", ".binpb"}}
    kept |= {name: (TARGET / name).read_bytes() for name in made if (TARGET / name).exists()}
    return sorted(name for name in made.keys() | kept.keys() if made.get(name) != kept.get(name))


def main() -> None:
    parser = argparse.ArgumentParser(description="Compiles protos/ into qdrantlite/wire/pb/.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the shipped copy is stale")
    check: bool = parser.parse_args().check
    made = compile_protos()
    stale = stale_files(made)
    if check and stale:
        sys.exit(f"stale in {TARGET.relative_to(ROOT)}: {', '.join(stale)}; run `make proto`")
    for name in stale:
        if name in made:
            (TARGET / name).write_bytes(made[name])
        else:
            (TARGET / name).unlink()
            (TARGET / name).with_suffix(".py").unlink(missing_ok=True)
        print(f"wrote {name}" if name in made else f"removed {name}")


if __name__ == "__main__":
    main()
