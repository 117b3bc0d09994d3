"""Producers, good and bad. Each is a thread that goes on until the world says stop."""
import collections
import math
import queue
import random
import threading

import calls
import cluster
import history
import wire


class World:
    """What all clients share: the cluster, the time to stop, and what was acknowledged, to be misused."""

    def __init__(self, caller, settings):
        self.caller, self.cluster, self.settings = caller, caller.cluster, settings
        self.stopping = threading.Event()
        self.acknowledged = collections.deque(maxlen=20000)
        self.frozen = (None, 0.0)  # a node that is frozen until then, or was
        self.failures = []

    def waking(self, node):
        """It is about to go on after a freeze, or has just done so: it may not know yet what it missed."""
        name, until = self.frozen
        return name == node and abs(until - self.caller.history.now()) < 0.5

    def node(self, draw):
        """Any node: hardly one that is frozen, but above all one that wakes."""
        name, until = self.frozen
        if name and self.waking(name) and draw.random() < 0.7:
            return name
        frozen = name and self.caller.history.now() < until and draw.random() < 0.9
        return draw.choice([node for node in self.cluster.nodes if not (frozen and node == name)])


class Client(threading.Thread):
    def __init__(self, world, name, seed):
        super().__init__(name=name, daemon=True)
        self.world, self.caller = world, world.caller
        self.draw = random.Random(f"{seed}/{name}")

    def run(self):
        try:
            while not self.world.stopping.is_set():
                self.step()
        except Exception as error:  # noqa: BLE001 (a checker that breaks must not look like a clean run)
            self.world.failures.append(f"{self.name}: {error!r}")
            raise

    def rest(self, seconds):
        self.world.stopping.wait(seconds)

    def short_deadline(self):
        """0.5 ms to 200 ms, each magnitude as often."""
        return math.exp(self.draw.uniform(math.log(0.0005), math.log(0.2)))


class Block:
    """What a producer has written down before it sends: it may crash and go on from here."""

    def __init__(self, of):
        self.of, self.tried, self.variant = of, 0, 0
        self.surely_not = True  # every attempt of this content was told NOT_STORED

    def heard(self, record):
        self.tried += 1
        self.surely_not = self.surely_not and set(record["outcomes"]) == {history.NOT}
        return set(record["outcomes"]) == {history.ACK}

    def other_content(self):
        """Legal only while surely_not."""
        self.variant += 1
        of = self.of
        tags = [wire.tag_of(of["producer"], of["epoch"], of["partition"], of["seq"] + k, self.variant)
                for k in range(len(of["tags"]))]
        self.of = {**of, "tags": tags}
        self.tried, self.surely_not = 0, True


class Lane:
    """One producer on one partition: its epoch and next sequence."""

    def __init__(self, producer, stream, partition):
        self.producer, self.stream, self.partition = producer, stream, partition
        self.epoch, self.next = 1, 0

    def block(self, count):
        tags = [wire.tag_of(self.producer, self.epoch, self.partition, self.next + k, 0) for k in range(count)]
        of = {"stream": self.stream, "partition": self.partition, "producer": self.producer, "epoch": self.epoch,
              "seq": self.next, "tags": tags}
        self.next += count
        return Block(of)

    def new_epoch(self):
        self.epoch, self.next = self.epoch + 1, 0


class SerialProducer(Client):
    """By the book: one request at a time, repeated until its outcome is known, with short deadlines. Crashes
    and goes on from its notes. May use a sequence for other content once it was surely not stored."""

    REFUSED_MAX = 20

    def __init__(self, world, name, seed, stream, partition):
        super().__init__(world, name, seed)
        self.lane = Lane(name, stream, partition)
        self.block, self.refused, self.channels, self.streams = None, 0, {}, {}

    def step(self):
        if self.block is None:
            many = self.draw.random() < 0.02
            self.block = self.lane.block(60 if many else self.draw.randint(1, 3))
        node = self.world.node(self.draw)
        patient = self.block.tried >= 3 or self.world.waking(node) or self.draw.random() < 0.2
        deadline = 3.0 if patient else self.short_deadline()
        record = self._send(node, deadline)
        if self.block.heard(record):
            self.world.acknowledged.append(record)
            self.block, self.refused = None, 0
            self.rest(self.draw.expovariate(1 / self.world.settings.pause))
        else:
            self._not_acknowledged(record)
        if self.draw.random() < 0.002:
            self._crash()

    def _send(self, node, deadline):
        """Mostly by Append; also past all routing, to a node that may own the partition no longer."""
        if self.draw.random() > (0.7 if self.world.waking(node) else 0.1):
            return self.caller.append(self.block.of, node, deadline, "serial", self._channel(node), good=True)
        if node not in self.streams or self.streams[node].ended():
            self._close_stream(node)
            self.streams[node] = calls.BlockStream(self.caller, node, "serial")
        return self.streams[node].ask(self.block.of, max(deadline, 0.02))

    def _close_stream(self, node):
        if node in self.streams:
            self.streams.pop(node).close()

    def _not_acknowledged(self, record):
        self.refused += record["code"] in ("FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND")
        if self.refused > self.REFUSED_MAX:
            self.block, self.refused = None, 0  # a violation, if unprovoked; the judge says so
            self.lane.new_epoch()
        elif self.block.surely_not and self.draw.random() < 0.3:
            self.block.other_content()
        if not record["local"]:
            self.rest(min(0.2, (record["retry"] or 20) / 1000))
        elif record["code"] == "UNAVAILABLE":
            self.channels.pop(record["node"], None)
            self.rest(0.02)

    def _channel(self, node):
        if node not in self.channels:
            self.channels[node] = cluster.connect(self.world.cluster.nodes[node].address)
        return self.channels[node]

    def _crash(self):
        """Its connections are gone; what it sent last is as unknown as before."""
        for channel in self.channels.values():
            channel.close()
        self.channels = {}
        for node in list(self.streams):
            self._close_stream(node)
        if self.draw.random() < 0.3:
            self.lane.new_epoch()
            self.block, self.refused = None, 0


class BlockProducer(Client):
    """Many blocks in flight on one stream; when it breaks, everything is sent again from the oldest on."""

    def __init__(self, world, name, seed, stream, partition):
        super().__init__(world, name, seed)
        self.lane = Lane(name, stream, partition)
        self.notes = collections.deque()  # blocks without an acknowledgement, oldest first
        self.refused = 0

    def step(self):
        lane = self.lane
        node = self.world.cluster.owner(lane.stream, lane.partition)
        if node is None or self.draw.random() < 0.1:
            node = self.world.node(self.draw)
        stream = calls.BlockStream(self.caller, node, "blocks")
        try:
            self._flow(stream)
        finally:
            stream.close()
            while not stream.answers.empty():
                self._hear(stream.answers.get_nowait())
        self._settle()

    def _flow(self, stream):
        window, sent = self.draw.choice((4, 40, 64)), len(self.notes)
        end_after = self.draw.randint(20, 400)
        for block in self.notes:
            stream.send(block.of, good=True)
        good = True
        until = self.caller.history.now() + 4
        while good or (stream.pending() and self.caller.history.now() < until):
            if self.world.stopping.is_set() and not self.notes:
                return
            while good and len(self.notes) < window and not self.world.stopping.is_set():
                self.notes.append(self.lane.block(self.draw.randint(1, 3)))
                stream.send(self.notes[-1].of, good=True)
                sent += 1
                self.rest(self.draw.expovariate(1 / self.world.settings.pause) / 4)
            if good and sent > end_after:
                return  # a crash in mid-flight
            try:
                acknowledged = self._hear(stream.answers.get(timeout=0.5))
            except queue.Empty:
                good = good and self.caller.history.now() < until
                continue
            if acknowledged:
                until = self.caller.history.now() + 4
            good = good and acknowledged

    def _hear(self, record):
        block = next((b for b in self.notes if b.of["seq"] == record["seq"]), None)
        if block is None or record["epoch"] != self.lane.epoch:
            return True
        if block.heard(record):
            self.world.acknowledged.append(record)
            self.notes.remove(block)
            self.refused = 0
            return True
        if block is self.notes[0] and record["code"] in ("FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND"):
            self.refused += 1
        return False

    def _settle(self):
        if self.refused > 5 or self.draw.random() < 0.02:
            self.notes.clear()
            self.refused = 0
            self.lane.new_epoch()
        elif self.notes and all(b.surely_not and b.tried for b in self.notes) and self.draw.random() < 0.3:
            for block in self.notes:
                block.other_content()
        self.rest(0.05)


class Resender(Client):
    """Sends old requests again, word for word, also of lower epochs, by any way to any node."""

    by, variant = "resend", None

    def step(self):
        known = self.world.acknowledged
        if not known:
            self.rest(0.1)
            return
        old = self.draw.choice(known) if self.draw.random() < 0.5 else known[-min(len(known), 1 + int(
            self.draw.expovariate(1 / 60)))]
        of = {k: old[k] for k in ("stream", "partition", "producer", "epoch", "seq", "tags")}
        self.send(self.changed(of))
        self.rest(self.draw.expovariate(1 / 0.1))

    def changed(self, of):
        return of

    def send(self, of):
        if self.draw.random() < 0.5:
            self.caller.append(of, self.world.node(self.draw), 3.0, self.by)
            return
        node = self.world.cluster.owner(of["stream"], of["partition"]) or self.world.node(self.draw)
        stream = calls.BlockStream(self.caller, node, self.by)
        try:
            stream.send(of)
            stream.answers.get(timeout=3)
        except queue.Empty:
            pass
        finally:
            stream.close()


class Misuser(Resender):
    """Uses a sequence that was acknowledged for other content: that must be refused."""

    by = "misuse"

    def changed(self, of):
        parts = [wire.split(tag) for tag in of["tags"]]
        return {**of, "tags": [wire.tag_of(*part[:4], 900 + part[4]) for part in parts]}


class Anonymous(Client):
    """Appends without an identity, each event once: it never knows how to repeat."""

    def __init__(self, world, name, seed, stream):
        super().__init__(world, name, seed)
        self.stream, self.next = stream, 0

    def step(self):
        n = self.draw.randint(1, 5)
        tags = [wire.tag_of(self.name, 0, 0, self.next + k, 0) for k in range(n)]
        self.next += n
        of = {"stream": self.stream, "partition": None, "producer": "", "epoch": 0, "seq": 0, "tags": tags}
        deadline = self.short_deadline() if self.draw.random() < 0.7 else 3.0
        self.caller.append(of, self.world.node(self.draw), deadline, "anonymous", good=True)
        self.rest(self.draw.expovariate(1 / self.world.settings.pause))


class Liar(Client):
    """Sends blocks with a right checksum whose body is not what the header says."""

    def __init__(self, world, name, seed, stream):
        super().__init__(world, name, seed)
        self.stream, self.sent = stream, 0

    def step(self):
        node = self.world.cluster.owner(self.stream, 0)
        if node is None:
            self.rest(0.1)
            return
        producer = f"{self.name}-{self.sent}"
        self.sent += 1
        tag = wire.tag_of(producer, 1, 0, 0, 0)
        blocks = wire.lying_blocks(self.caller.stubs, producer, 1, 0, tag)
        lie = self.draw.choice(sorted(blocks))
        of = {"stream": self.stream, "partition": 0, "producer": producer, "epoch": 1, "seq": 0, "tags": [tag],
              "lie": lie}
        stream = calls.BlockStream(self.caller, node, "liar")
        try:
            stream.send(of, block=blocks[lie])
            stream.answers.get(timeout=3)
        except queue.Empty:
            pass
        finally:
            stream.close()
        self.rest(0.5)
