#!/usr/bin/env python3
"""Appends three events and reads them back, knowing only the .proto files.

    sudo apt-get install python3-grpcio python3-protobuf protobuf-compiler protobuf-compiler-grpc
    python3 examples/append.py 127.0.0.1:7000 STREAM

The first argument is any node of the cluster. (With pip instead of Debian's packages: `pip install
grpcio grpcio-tools`, and `python3 -m grpc_tools.protoc` in place of protoc below.)
"""

import pathlib
import subprocess
import sys
import tempfile
import time
import uuid

import grpc


def load_protos():
    """Generates Python from proto/ and imports it. A real program would do this when it is built."""
    proto = pathlib.Path(__file__).resolve().parent.parent / "proto"
    out = tempfile.TemporaryDirectory()
    plugin = subprocess.check_output(["which", "grpc_python_plugin"], text=True).strip()
    subprocess.run(
        ["protoc", "-I", str(proto), f"--python_out={out.name}", f"--grpc_python_out={out.name}",
         f"--plugin=protoc-gen-grpc_python={plugin}",
         "forebay/v1/event.proto", "forebay/v1/ingest.proto"],
        check=True)
    sys.path.insert(0, out.name)
    from forebay.v1 import event_pb2, ingest_pb2, ingest_pb2_grpc
    out.cleanup()
    return event_pb2, ingest_pb2, ingest_pb2_grpc


def append(stub, request, patience_s=30):
    """Sends the request until its outcome is known. It names a producer and a sequence, so that
    sending it again is safe: it takes effect once."""
    may_be_repeated = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED,
                       grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED)
    give_up_at = time.monotonic() + patience_s
    while True:
        try:
            return stub.Append(request, timeout=10)
        except grpc.RpcError as error:
            if error.code() not in may_be_repeated or time.monotonic() > give_up_at:
                raise
            print(f"trying again: {error.code().name}: {error.details()}", file=sys.stderr)
            time.sleep(0.2)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    node, stream = sys.argv[1:]
    event_pb2, ingest_pb2, ingest_pb2_grpc = load_protos()
    stub = ingest_pb2_grpc.IngestStub(grpc.insecure_channel(node))

    events = [
        event_pb2.Event(type="page_view", key="visitor-7", payload=b'{"page": %d}' % n,
                        time_unix_nanos=time.time_ns(), attributes={"source": "append.py"})
        for n in range(3)
    ]
    request = ingest_pb2.AppendRequest(
        stream=stream, events=events,
        producer=ingest_pb2.ProducerIdentity(id=f"example-{uuid.uuid4()}", first_sequence=0))
    results = append(stub, request).results
    for result in results:
        print(f"stored {result.id} at {stream}/{result.partition} offset {result.offset}, "
              f"in {result.zones} zones")

    # Sent again, as after a lost answer: the same events, the same offsets.
    again = append(stub, request).results
    if [r.offset for r in again] != [r.offset for r in results]:
        sys.exit("a repeated append was stored a second time")

    # Reading is the owner's business: Describe tells who and where that is.
    described = stub.Describe(ingest_pb2.DescribeRequest(stream=stream))
    partition = results[0].partition
    addresses = {n.node: n.address for n in described.nodes}
    owner = addresses[described.partitions[partition].owner]
    owner_stub = ingest_pb2_grpc.IngestStub(grpc.insecure_channel(owner))
    wanted = {result.id for result in results}
    tail = owner_stub.Tail(ingest_pb2.TailRequest(
        stream=stream, partition=partition, offset=results[0].offset))
    for response in tail:
        for item in response.events:
            if item.event.id in wanted:
                print(f"read   {item.event.id} from {owner}: {item.event.payload.decode()}")
                wanted.discard(item.event.id)
    if wanted:
        sys.exit(f"not read back: {wanted}")


if __name__ == "__main__":
    main()
