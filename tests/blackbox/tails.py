"""Readers of a stream by Tail: followers across owners, short looks from anywhere, and the last look."""
import grpc

import clients
import wire


class Reader:
    def __init__(self, caller):
        self.caller, self.cluster, self.history = caller, caller.cluster, caller.history

    def tail(self, node, of, start, follow, seconds, by, stop=lambda: False):
        """One Tail call; returns its record. `start`: "start", "end" or an offset; `of`: (stream, partition)."""
        stubs = self.caller.stubs
        request = stubs.ingest.TailRequest(stream=of[0], partition=of[1], follow=follow)
        if start in ("start", "end"):
            setattr(request, start, True)
        else:
            request.offset = start
        record = {"is": "tail", "t0": self.history.now(), "by": by, "node": node, "stream": of[0],
                  "partition": of[1], "from": start, "follow": follow, "messages": [], "code": "OK", "message": ""}
        call = stubs.ingest_grpc.IngestStub(self.cluster.channel(node)).Tail(request, timeout=seconds)
        try:
            for response in call:
                record["messages"].append([response.next_offset, [row_of(event) for event in response.events]])
                if stop():
                    call.cancel()
        except grpc.RpcError as error:
            record["code"], record["message"] = error.code().name, (error.details() or "")[:300]
            if record["code"] == "UNAVAILABLE":
                self.cluster.forget(node)
        record["t1"] = self.history.now()
        return self.history.add(record)

    def last_look(self, of, attempts=20):
        """From the start to the end of what is committed, at its present owner."""
        for _ in range(attempts):
            node = self.cluster.owner(*of)
            if node and self.tail(node, of, "start", False, 20, "last")["code"] == "OK":
                return


def row_of(item):
    event = item.event
    tag = event.id
    same = (event.payload == wire.payload_of(tag) and event.key == wire.key_of(tag)
            and dict(event.attributes) == {"of": tag})
    return [item.offset, tag, same]


class Follower(clients.Client):
    """Follows a partition from its start, from owner to owner, by the next offset it was told."""

    def __init__(self, world, name, seed, stream, partition):
        super().__init__(world, name, seed)
        self.of, self.next = (stream, partition), "start"
        self.reader = Reader(world.caller)

    def step(self):
        node = self.world.cluster.owner(*self.of)
        if node is None:
            self.rest(0.1)
            return
        seconds = self.draw.uniform(2, 15)
        record = self.reader.tail(node, self.of, self.next, True, seconds, "follower",
                                  self.world.stopping.is_set)
        if record["messages"]:
            self.next = record["messages"][-1][0]
        if record["code"] == "OUT_OF_RANGE":
            self.next = "start"
        self.rest(0.05)


class Looker(clients.Client):
    """Short tails of any partition from the start, the end or an offset that was acknowledged."""

    def __init__(self, world, name, seed, stream, partitions):
        super().__init__(world, name, seed)
        self.stream, self.partitions = stream, partitions
        self.reader = Reader(world.caller)

    def step(self):
        of = (self.stream, self.draw.randrange(self.partitions))
        node = self.world.cluster.owner(*of) if self.draw.random() < 0.8 else self.world.node(self.draw)
        if node:
            start = self.draw.choice(["start", "end", self._offset(of)])
            self.reader.tail(node, of, start, self.draw.random() < 0.5, self.draw.uniform(0.2, 1.5), "look")
        self.rest(0.3)

    def _offset(self, of):
        known = [r for r in list(self.world.acknowledged)[-500:] if (r["stream"], r["partition"]) == of]
        place = self.draw.choice(known)["places"][0] if known else None
        return place[1] if place else 0
