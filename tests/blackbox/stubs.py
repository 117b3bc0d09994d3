"""Python for proto/, generated when the checker starts, and imported from a temporary folder."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
FILES = ("event", "ingest", "admin", "status_details")


class Missing(Exception):
    """The checker cannot run here; the message says what to install."""


def load():
    """The generated modules by name: event_pb2, ingest_pb2, ingest_pb2_grpc, admin_pb2, ..."""
    protoc, plugin = shutil.which("protoc"), shutil.which("grpc_python_plugin")
    if not protoc or not plugin:
        raise Missing("protoc and grpc_python_plugin are needed: install protobuf-compiler and "
                      "protobuf-compiler-grpc (scripts/setup build)")
    with tempfile.TemporaryDirectory(prefix="forebay-blackbox-stubs-") as out:
        subprocess.run([protoc, "-I", REPOSITORY / "proto", f"--python_out={out}",
                        f"--grpc_python_out={out}", f"--plugin=protoc-gen-grpc_python={plugin}",
                        *(f"forebay/v1/{name}.proto" for name in FILES)], check=True)
        sys.path.insert(0, out)
        try:
            from forebay.v1 import (admin_pb2, admin_pb2_grpc, event_pb2, ingest_pb2,  # noqa: PLC0415
                                    ingest_pb2_grpc, status_details_pb2)
        finally:
            sys.path.remove(out)
    return Stubs(admin_pb2, admin_pb2_grpc, event_pb2, ingest_pb2, ingest_pb2_grpc,
                 status_details_pb2)


class Stubs:
    def __init__(self, admin, admin_grpc, event, ingest, ingest_grpc, details):
        self.admin, self.admin_grpc = admin, admin_grpc
        self.event, self.ingest, self.ingest_grpc = event, ingest, ingest_grpc
        self.details = details
