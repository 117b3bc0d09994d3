"""Real nodes of one binary on 127.0.0.1: three zones, one metadata store, sinks; and signals."""
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import grpc

import proxy

# Several connections from one program to one node only come apart with a pool of their own.
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def connect(address):
    return grpc.insecure_channel(address, options=OWN_CONNECTION)


class Node:
    """One process of `forebay node`; started, stopped and broken by signals only."""

    def __init__(self, name, zone, port, folder):
        self.name, self.zone, self.port, self.folder = name, zone, port, folder
        self.address = f"127.0.0.1:{port}"
        self.config = folder / f"{name}.yaml"
        self.process = None
        self.frozen = False

    def start(self, binary):
        log = open(self.folder / f"{self.name}.log", "ab")  # noqa: SIM115 (the process keeps it)
        with log:
            self.process = subprocess.Popen(
                [binary, "node", "--config", self.config], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def send(self, number):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.frozen = {signal.SIGSTOP: True, signal.SIGCONT: False}.get(number, self.frozen)

    def kill(self):
        self.send(signal.SIGKILL)
        if self.process:
            self.process.wait()
        self.frozen = False

    def listens(self):
        """Whether it takes connections; a frozen node does, but answers nothing."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=0.2):
            return True
        return False

    def running(self):
        return self.process is not None and self.process.poll() is None

    def await_end(self, seconds):
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()


class Cluster:
    """What is asked for is in `settings`, an argparse namespace (main.py)."""

    def __init__(self, stubs, settings, folder):
        self.stubs, self.settings, self.folder = stubs, settings, folder
        self.binary = os.path.abspath(settings.binary)
        zones = ["a", "b", "c"]
        ports = free_ports(settings.nodes + 2)
        self.nodes = {}
        for i in range(settings.nodes):
            name = f"{zones[i % 3]}{1 + i // 3}"
            self.nodes[name] = Node(name, zones[i % 3], ports[i], folder)
        self.etcd, self.etcd_ports = None, ports[-2:]
        self.partitions = {"web": settings.partitions}
        if settings.lies:
            self.partitions["lies"] = 1
        self.sinks = self._sinks()
        self.proxies, self._dial = None, {}
        if "cut" in settings.faults.split(","):
            self._make_proxies()
        self._lock = threading.Lock()
        self._channels = {}

    def _make_proxies(self):
        pairs = [(a, b) for a in self.nodes for b in self.nodes if a != b]
        self._dial = dict(zip(pairs, free_ports(len(pairs))))
        self.proxies = proxy.Proxies({(a, b): self.nodes[b].port for a, b in pairs}, self._dial)

    def _sinks(self):
        """name -> (stream, kind, url)."""
        sinks = {}
        for kind in self.settings.sink:
            for stream in self.partitions:
                if kind == "sqlite":
                    url = f"sqlite:{self.folder / f'{stream}.db'}"
                elif kind == "files":
                    url = f"files:{self.folder / 'files'}"
                else:
                    url = self.settings.postgres
                sinks[f"{stream}-{kind}"] = (stream, kind, url)
        return sinks

    def wait_of(self, sink):
        """Its batch_wait_max, in seconds."""
        return self.settings.files_wait if self.sinks[sink][1] == "files" else 0.05

    def start(self):
        (self.folder / "files").mkdir(exist_ok=True)
        metadata = f"sqlite:{self.metadata_file()}"
        if self.settings.metadata == "etcd":
            metadata = f"etcd:127.0.0.1:{self._start_etcd()}"
        if self.proxies:
            self.proxies.start()
        for node in self.nodes.values():
            node.config.write_text(json.dumps(self._config(node, metadata), indent=1))
            node.start(self.binary)
        self.await_serving(60)

    def forget(self, name):
        """The next call dials again at once; gRPC itself would wait for up to 20 s after a refused one."""
        with self._lock:
            self._channels.pop(name, None)

    def metadata_file(self):
        return self.folder / "metadata.db"

    def _config(self, node, metadata):
        settings = self.settings
        streams = [{"name": name, "partitions": count, "codec": settings.codec}
                   for name, count in self.partitions.items()]
        sinks = []
        for name, (stream, kind, url) in self.sinks.items():
            wait = f"{self.wait_of(name):g}s"
            sinks.append({"name": name, "stream": stream, "url": url, "batch_wait_max": wait,
                          "keep_after_delivery": settings.keep})
        # JSON is YAML.
        return {"node": node.name, "zone": node.zone, "data_directory": str(self.folder / node.name),
                "metadata": metadata, "listen": node.address, "memtable_bytes": "16MiB",
                "dial_instead": {b: f"127.0.0.1:{port}" for (a, b), port in self._dial.items() if a == node.name},
                "streams": streams, "sinks": sinks, "segment": {"age_max": settings.segment_age},
                "batch": {"give_up_after": "5s"}, "disk": {"reserve_bytes": "256MiB", "slow_after": "5s"}}

    def _start_etcd(self):
        etcd = shutil.which("etcd")
        if not etcd:
            raise OSError("etcd is not installed (scripts/setup test)")
        client, peer = (f"http://127.0.0.1:{port}" for port in self.etcd_ports)
        with open(self.folder / "etcd.log", "ab") as log:
            self.etcd = subprocess.Popen(
                [etcd, "--data-dir", self.folder / "etcd", "--listen-client-urls", client,
                 "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls",
                 peer, "--initial-cluster", f"default={peer}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self.etcd_ports[0]

    def await_serving(self, seconds):
        """Every node answers, and of every partition one of them says that it is the owner."""
        until = time.monotonic() + seconds
        why = "nothing was asked"
        while time.monotonic() < until:
            why = self._why_not_serving()
            if not why:
                return
            time.sleep(0.1)
        raise OSError(f"the cluster does not serve after {seconds} s: {why}; see {self.folder}/*.log")

    def _why_not_serving(self):
        without = {(stream, p) for stream, count in self.partitions.items() for p in range(count)}
        for node in self.nodes.values():
            if not node.running():
                return f"{node.name} has ended with {node.process.poll()}"
            status = self.status(node.name) if node.listens() else None
            if status is None:
                return f"{node.name} does not answer"
            without -= {(p.stream, p.partition) for p in status.partitions if p.owned_here}
        return f"nobody owns {sorted(without)}" if without else ""

    def channel(self, name):
        with self._lock:
            if name not in self._channels:
                self._channels[name] = connect(self.nodes[name].address)
            return self._channels[name]

    def describe(self, name, stream, timeout=2):
        """partition -> owner, or None when the node does not answer."""
        try:
            answer = self.stubs.ingest_grpc.IngestStub(self.channel(name)).Describe(
                self.stubs.ingest.DescribeRequest(stream=stream), timeout=timeout)
        except grpc.RpcError:
            self.forget(name)
            return None
        return {route.partition: route.owner for route in answer.partitions}

    def owner(self, stream, partition):
        """As the first node that answers knows it; None: nobody says."""
        for node in random.sample(list(self.nodes.values()), len(self.nodes)):
            if node.running() and not node.frozen:
                routes = self.describe(node.name, stream)
                if routes and routes.get(partition) in self.nodes:
                    return routes[partition]
        return None

    def status(self, name, timeout=1.5):
        try:
            return self.stubs.admin_grpc.AdminStub(self.channel(name)).Status(
                self.stubs.admin.StatusRequest(), timeout=timeout)
        except grpc.RpcError:
            self.forget(name)
            return None

    def heal(self):
        if self.proxies:
            self.proxies.heal()
        for node in self.nodes.values():
            node.send(signal.SIGCONT)
            if not node.running():
                node.start(self.binary)

    def stop(self):
        for channel in self._channels.values():
            channel.close()
        for node in self.nodes.values():
            node.send(signal.SIGCONT)
            node.send(signal.SIGTERM)
        for node in self.nodes.values():
            if node.process:
                node.await_end(15)
        if self.proxies:
            self.proxies.stop()
        if self.etcd:
            self.etcd.kill()
            self.etcd.wait()

    @contextlib.contextmanager
    def locked(self, file):
        """Holds a write lock on an SQLite file, as a backup program might."""
        connection = sqlite3.connect(file, timeout=10, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")
        finally:
            connection.close()
