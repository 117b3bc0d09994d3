"""One request and what it was told: Append, and a stream of AppendBlocks. Writes the history."""
import queue
import threading

import grpc

import cluster
import history
import wire

DETAILS_KEY = "grpc-status-details-bin"
# ingest.proto: with these codes nothing is stored, whatever the details say or do not say.
NOTHING_STORED = {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "INVALID_ARGUMENT", "NOT_FOUND",
                  "FAILED_PRECONDITION", "UNAUTHENTICATED", "PERMISSION_DENIED"}


def names_of_codes():
    return {code.value[0]: code.name for code in grpc.StatusCode}


CODES = names_of_codes()


# What gRPC says of a connection that broke; the node has said nothing then.
BROKEN = ("Socket closed", "recvmsg:", "sendmsg:", "Connection reset", "Broken pipe", "RST_STREAM", "GOAWAY",
          "failed to connect", "Transport closed", "keepalive", "Endpoint ")


def is_local(error):
    """gRPC itself made this status up, at either end: a deadline, a connection that broke. It proves nothing."""
    text = error.debug_error_string() or ""
    by_grpc = error.details() in ("Deadline Exceeded", "Cancelled", "CANCELLED")
    return by_grpc or "received from peer" not in text or any(broken in text for broken in BROKEN)


class Caller:
    def __init__(self, stubs, cluster_, history_):
        self.stubs, self.cluster, self.history = stubs, cluster_, history_

    def append(self, of, node, deadline, by, channel=None, good=False):
        """Sends a block by Append, waits for its end, and returns the record. Without a producer: any partition."""
        request = self.stubs.ingest.AppendRequest(
            stream=of["stream"], events=[wire.event_of(self.stubs, tag) for tag in of["tags"]])
        if of["producer"]:
            request.producer.id, request.producer.epoch = of["producer"], of["epoch"]
            request.producer.first_sequence, request.partition = of["seq"], of["partition"]
        record = history.attempt(self.history.now(), by, "append", node, of, good=good,
                                 deadline_ms=round(deadline * 1000, 3))
        stub = self.stubs.ingest_grpc.IngestStub(channel or self.cluster.channel(node))
        try:
            response = stub.Append(request, timeout=deadline)
        except grpc.RpcError as error:
            self._failed(record, error)
        else:
            results = response.results
            history.told(record, self.history.now(), "OK", "",
                         outcomes=[wire.OUTCOMES.get(r.outcome, "none") for r in results],
                         places=[wire.place_of(r) for r in results])
        return self.history.add(record)

    def _failed(self, record, error):
        code, n = error.code().name, len(record["tags"])
        answer = {"local": is_local(error)}
        failure, retry = self._details(error)
        fates = wire.fates_of(failure, record["tags"]) if failure is not None else []
        if not answer["local"]:
            answer["details"] = len(fates) == n
            answer["retry"] = retry
        if len(fates) == n:
            answer["outcomes"], answer["places"] = [f[0] for f in fates], [f[1] for f in fates]
        elif not answer["local"] and code in NOTHING_STORED:
            answer["outcomes"] = [history.NOT] * n
        history.told(record, self.history.now(), code, error.details() or "", **answer)
        if answer["local"] and code == "UNAVAILABLE":
            self.cluster.forget(record["node"])

    def _details(self, error):
        """(AppendFailure or None, milliseconds of RetryInfo or None)."""
        failure, retry = None, None
        for key, value in error.trailing_metadata() or ():
            if key != DETAILS_KEY:
                continue
            for detail in self.stubs.details.StatusDetails.FromString(value).details:
                name = detail.type_url.rsplit("/", 1)[-1]
                if name == "forebay.v1.AppendFailure":
                    failure = self.stubs.ingest.AppendFailure.FromString(detail.value)
                elif name == "google.rpc.RetryInfo":
                    delay = self.stubs.details.RetryInfo.FromString(detail.value).retry_delay
                    retry = delay.seconds * 1000 + delay.nanos // 1_000_000
        return failure, retry


class BlockStream:
    """An AppendBlocks call on a connection of its own. `send` returns at once; `answers` is a queue of
    records as they end. After the end of the call everything without an answer is unknown."""

    def __init__(self, caller, node, by):
        self.caller, self.node, self.by = caller, node, by
        self.answers = queue.Queue()
        self._requests = queue.Queue()
        self._pending, self._lock, self._next = {}, threading.Lock(), 1
        self._ended = None
        self._channel = cluster.connect(caller.cluster.nodes[node].address)
        self._call = caller.stubs.ingest_grpc.IngestStub(self._channel).AppendBlocks(iter(self._requests.get, None))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, of, good=False, block=None):
        stubs, now = self.caller.stubs, self.caller.history.now()
        record = history.attempt(now, self.by, "blocks", self.node, of, good=good, deadline_ms=None)
        if block is None:
            block = wire.block_of(stubs, of["producer"], of["epoch"], of["seq"], of["tags"])
        with self._lock:
            number, self._next = self._next, self._next + 1
            ended = self._ended
            if ended is None:
                self._pending[number] = record
        if ended is not None:
            self._end(record, ended)
            return record
        append = stubs.ingest.BlockAppend(request=number, stream=of["stream"], partition=of["partition"], block=block)
        self._requests.put(stubs.ingest.AppendBlocksRequest(protocol_version=1, blocks=[append]))
        return record

    def ask(self, of, seconds):
        """Sends one block, and waits for its record. After `seconds` the stream ends, and the outcome is unknown."""
        record = self.send(of, good=True)
        try:
            return self.answers.get(timeout=seconds)
        except queue.Empty:
            self.close()
            return record

    def ended(self):
        with self._lock:
            return self._ended is not None

    def pending(self):
        with self._lock:
            return len(self._pending)

    def close(self):
        """Everything without an answer is unknown from now on."""
        self._call.cancel()
        self._requests.put(None)
        self._reader.join(timeout=10)
        self._channel.close()

    def _read(self):
        code, message = "OK", "the stream has ended"
        try:
            for response in self._call:
                for result in response.results:
                    self._answer(result)
        except grpc.RpcError as error:
            code, message = error.code().name, error.details() or ""
        with self._lock:
            self._ended = (code, message)
            pending, self._pending = list(self._pending.values()), {}
        for record in pending:
            self._end(record, (code, message))

    def _answer(self, result):
        with self._lock:
            record = self._pending.pop(result.request, None)
        if record is None:
            record = history.attempt(self.caller.history.now(), self.by, "blocks", self.node,
                                     {"stream": "", "partition": 0, "producer": "", "epoch": 0, "seq": 0, "tags": []})
            record["extra"] = True
        n = len(record["tags"])
        outcome = wire.OUTCOMES.get(result.outcome, "none")
        known = outcome == history.ACK and not getattr(result, "offset_unknown", False)
        places = [[result.partition, result.offset + k] if known else None for k in range(n)]
        history.told(record, self.caller.history.now(), CODES.get(result.code, str(result.code)), result.message,
                     outcomes=[outcome] * n, places=places, retry=result.retry_after_ms or None)
        self.answers.put(self.caller.history.add(record))

    def _end(self, record, ended):
        history.told(record, self.caller.history.now(), ended[0], ended[1], local=True)
        self.answers.put(self.caller.history.add(record))
