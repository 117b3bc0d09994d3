"""What is broken, by signals and locks; at most one node or store at a time. Drawn from the seed."""
import contextlib
import signal

import grpc

import calls
import clients
import cluster
import wire

ALL = ("kill", "freeze", "pause", "restart", "move", "lock-metadata", "lock-metadata-kill", "lock-sink", "cut")
NEED_SQLITE_METADATA = ("lock-metadata", "lock-metadata-kill")
SETTLE_SECONDS = 2.5  # between two faults


def possible(settings):
    """The faults asked for that this set-up can have."""
    asked = settings.faults.split(",") if settings.faults else []
    for name in asked:
        if name not in ALL:
            raise ValueError(f"no such fault: {name}; there are {', '.join(ALL)}")
    if settings.metadata != "sqlite":
        asked = [name for name in asked if name not in NEED_SQLITE_METADATA]
    if "sqlite" not in settings.sink:
        asked = [name for name in asked if name != "lock-sink"]
    return asked


class Breaker(clients.Client):
    def __init__(self, world, seed, kinds):
        super().__init__(world, "breaker", seed)
        self.kinds, self.history = kinds, world.caller.history
        self.asked = 0

    def step(self):
        self.rest(SETTLE_SECONDS + self.draw.expovariate(1))
        if self.world.stopping.is_set():
            return
        kind = self.draw.choice(self.kinds)
        node = self._node(kind)
        record = {"is": "fault", "kind": kind, "node": node.name, "owned": self._owned(node.name),
                  "t0": self.history.now()}
        getattr(self, "_" + kind.replace("-", "_"))(node)
        record["t1"] = self.history.now()
        self.history.add(record)

    def _node(self, kind):
        """An owner rather than any node: that is where it hurts. Under locked metadata the one that owns the
        least, as the partitions of the others must go on."""
        if kind == "lock-metadata-kill":
            return min(self.world.cluster.nodes.values(), key=lambda node: len(self._owned(node.name)))
        settings = self.world.settings
        owner = self.world.cluster.owner("web", self.draw.randrange(settings.partitions))
        name = owner if owner and self.draw.random() < 0.8 else self.draw.choice(list(self.world.cluster.nodes))
        return self.world.cluster.nodes[name]

    def _owned(self, name):
        status = self.world.cluster.status(name)
        return [[p.stream, p.partition] for p in status.partitions if p.owned_here] if status else []

    def _start(self, node):
        node.start(self.world.cluster.binary)
        until = self.history.now() + 15
        while not node.listens() and node.running() and self.history.now() < until:
            self.rest(0.01)
        self.world.frozen = (node.name, self.history.now())  # as after a freeze, everybody asks it now
        for _ in range(3):
            self._ask_at_once(node)

    def _ask_at_once(self, node):
        """The first calls of a node's life, each by a producer of its own."""
        self.asked += 1
        producer, partition = f"starter{self.asked}", self.draw.randrange(self.world.settings.partitions)
        of = {"stream": "web", "partition": partition, "producer": producer, "epoch": 1, "seq": 0,
              "tags": [wire.tag_of(producer, 1, partition, 0, 0)]}
        stream = calls.BlockStream(self.world.caller, node.name, "starter")
        stream.ask(of, 3.0)
        stream.close()
        channel = cluster.connect(node.address)
        self.world.caller.append(of, node.name, 3.0, "starter", channel, good=True)
        channel.close()

    def _kill(self, node):
        node.kill()
        self.rest(self.draw.uniform(0.1, 4))
        self._start(node)

    def _restart(self, node):
        node.send(signal.SIGTERM)
        node.await_end(20)
        self._start(node)

    def _stopped(self, node, seconds):
        self.world.frozen = (node.name, self.history.now() + seconds)
        node.send(signal.SIGSTOP)
        self.rest(seconds)
        node.send(signal.SIGCONT)

    def _freeze(self, node):
        self._stopped(node, self.draw.uniform(2.5, 4.5))

    def _pause(self, node):
        self._stopped(node, self.draw.uniform(0.2, 0.7))

    def _move(self, node):
        stubs = self.world.caller.stubs
        for stream, partition in self._owned(node.name)[:1]:
            with contextlib.suppress(grpc.RpcError):
                stubs.admin_grpc.AdminStub(self.world.cluster.channel(node.name)).Move(
                    stubs.admin.MoveRequest(stream=stream, partition=partition), timeout=5)
        self.world.frozen = (node.name, self.history.now())

    def _lock_metadata(self, _):
        with self.world.cluster.locked(self.world.cluster.metadata_file()):
            self.rest(self.draw.uniform(2, 6))

    def _lock_metadata_kill(self, node):
        with self.world.cluster.locked(self.world.cluster.metadata_file()):
            node.kill()
            self.rest(self.draw.uniform(7, 10))
        self._start(node)

    def _lock_sink(self, _):
        with self.world.cluster.locked(self.world.cluster.folder / "web.db"):
            self.rest(self.draw.uniform(1, 7))

    def _cut(self, node):
        """Nothing that the node says to others, or nothing that others say to it, or neither arrives."""
        outgoing, incoming = self.draw.choice([(True, False), (False, True), (True, True)])
        self.world.cluster.proxies.cut(node.name, outgoing, incoming)
        self.rest(self.draw.uniform(2, 5))
        self.world.cluster.proxies.heal()
        self.world.frozen = (node.name, self.history.now())


class Watcher(clients.Client):
    """Writes down twice a second what every node says of its partitions and their sinks."""

    def __init__(self, world, seed):
        super().__init__(world, "watcher", seed)

    def step(self):
        watch(self.world.cluster, self.world.caller.history)
        self.rest(0.5)


def watch(running, history):
    """Returns the greatest lag, or None while some partition has no owner that answers."""
    owned, lags = set(), [0]
    for node in list(running.nodes.values()):
        if node.frozen or not node.running():
            continue
        t = history.now()
        status = running.status(node.name)
        if status is None:
            continue
        owned |= {(p.stream, p.partition) for p in status.partitions if p.owned_here}
        lags += [s.lag_events for s in status.sinks]
        for s in status.sinks:
            history.add({"is": "status", "t": t, "node": node.name, "sink": s.sink, "stream": s.stream,
                         "partition": s.partition, "cursor": s.cursor, "lag": s.lag_events,
                         "oldest_ms": s.oldest_undelivered_ms, "state": s.state, "error": s.last_error[:200]})
    wanted = {(stream, p) for stream, count in running.partitions.items() for p in range(count)}
    return max(lags) if wanted <= owned else None
