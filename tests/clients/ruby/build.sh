#!/bin/sh
# Generates Ruby stubs from the project's own protos: `build.sh FOLDER PYTHON`. Ruby, gRPC and its compiler are Debian's.
set -eu
if ! command -v grpc_tools_ruby_protoc > /dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
        echo "install ruby, ruby-grpc and ruby-grpc-tools" >&2
        exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends ruby ruby-grpc ruby-grpc-tools
fi
protos=../../../protos
well_known=$("$2" -c 'import grpc_tools, os; print(os.path.join(os.path.dirname(grpc_tools.__file__), "_proto"))')
grpc_tools_ruby_protoc -I "$protos" -I "$well_known" --ruby_out="$1" --grpc_out="$1" "$protos"/*.proto
