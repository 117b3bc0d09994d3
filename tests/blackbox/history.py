"""What was asked and told, as it happened: one JSON object a line, in FOLDER/history.jsonl.

    {"is": "attempt", ...}   a request of one block of events and its answer; fields: attempt() below
    {"is": "tail", ...}      one Tail call: where it began, each message, how it ended
    {"is": "status", ...}    one sink on one partition, as its owner says
    {"is": "fault", ...}     something was broken from t0 to t1
Times are seconds since the run began.
"""
import json
import threading
import time

ACK, NOT, UNKNOWN = "ack", "not", "unknown"


class History:
    def __init__(self, folder=None):
        self._begin = time.monotonic()
        self._lock = threading.Lock()
        self._file = open(folder / "history.jsonl", "w") if folder else None  # noqa: SIM115
        self.records = []

    def now(self):
        return time.monotonic() - self._begin

    def add(self, record):
        with self._lock:
            self.records.append(record)
            if self._file:
                self._file.write(json.dumps(record, separators=(",", ":")) + "\n")
        return record

    def close(self):
        if self._file:
            self._file.close()


def load(folder):
    history = History()
    with open(folder / "history.jsonl") as lines:
        history.records = [json.loads(line) for line in lines]
    return history


def attempt(t0, by, via, node, of, **more):
    """A request that is being sent. `of`: the block, a dictionary with stream, partition, producer,
    epoch, seq and tags; `by`: the kind of client; `via`: "append" or "blocks".

    Its answer adds: t1; code, message; local (the code is our own gRPC's, not the node's); outcomes and
    places ([partition, offset], or None where it was not told), one an event; details (the promised
    AppendFailure was there); retry (ms, None: not given).
    """
    return {"is": "attempt", "t0": round(t0, 4), "by": by, "via": via, "node": node, **of, **more}


def told(record, t1, code, message, **more):
    n = len(record["tags"])
    answer = {"t1": round(t1, 4), "code": code, "message": message[:300], "local": False,
              "outcomes": [UNKNOWN] * n, "places": [None] * n, "details": None, "retry": None}
    record.update(answer, **more)
    return record
