"""Redis, NATS and etcd: one process a node, started within a second or two."""
import json
import os
import subprocess
import time

from compare import machine
from compare.peer import Peer, first_line


class Redis(Peer):
    """Streams with a master and two replicas, append-only files. Options: fsync (always or everysec), wait."""

    setup = publisher = "redis"

    def start(self):
        self.ports = machine.free_ports(3)
        for i, port in enumerate(self.ports):
            command = ["redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", self.folders[i],
                       "--appendonly", "yes", "--appendfsync", self.options["fsync"], "--save", "",
                       "--repl-diskless-sync-delay", "0"]
            if i > 0:
                command += ["--replicaof", "127.0.0.1", self.ports[0]]
            self.nodes.append(self.processes.start(f"redis{i}", command))
        machine.wait_until(lambda: self.ask(0, "INFO", "replication").count("state=online") == 2, 30, "replicas")

    def ask(self, i, *words):
        return subprocess.run(["redis-cli", "-p", str(self.ports[i]), *words], capture_output=True, text=True,
                              timeout=20, check=False).stdout

    def settings(self, workload):
        # One replica is left when the master has been killed: more would never be acknowledged.
        return {"wait": 1 if workload.kill else self.options["wait"]}

    def create(self, name, workload):
        pass  # the first XADD makes it

    def leader(self, name):
        return next((i for i in range(3) if self.ask(i, "ROLE").startswith("master")), 0)

    def prepare_kill(self):
        """Sentinels, with a second of silence (their default is 30)."""
        for i, port in enumerate(machine.free_ports(3)):
            config = self.folders[i] / "sentinel.conf"
            config.write_text(f"port {port}\nbind 127.0.0.1\ndir {self.folders[i]}\n"
                              f"sentinel monitor load 127.0.0.1 {self.ports[0]} 2\n"
                              "sentinel down-after-milliseconds load 1000\n"
                              "sentinel failover-timeout load 10000\n")
            self.processes.start(f"sentinel{i}", ["redis-server", config, "--sentinel"])
        time.sleep(4)  # they find each other through the master, by a timer of 2 s

    @staticmethod
    def version(build):
        return first_line(["redis-server", "--version"])


class Nats(Peer):
    """JetStream, three servers. Options: synchronous."""

    setup = publisher = "nats"

    def start(self):
        self.ports = machine.free_ports(3)
        peer_ports = machine.free_ports(3)
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in peer_ports)
        for i, port in enumerate(self.ports):
            config = self.folders[i] / "nats.conf"
            config.write_text(
                f'server_name: n{i}\nlisten: "127.0.0.1:{port}"\n'
                f'jetstream {{ store_dir: "{self.folders[i]}/store", max_memory_store: 1GB, max_file_store: 40GB }}\n'
                f'cluster {{ name: compare, listen: "127.0.0.1:{peer_ports[i]}", routes: [{routes}] }}\n')
            self.nodes.append(self.processes.start(f"nats{i}", ["nats-server", "-c", config]))
        machine.wait_until(lambda: all(machine.answers(port) for port in self.ports), 20, "nats")

    def create(self, name, workload):
        # It is refused until the servers have elected who leads.
        machine.wait_until(lambda: super(Nats, self).create(name, workload) is None, 40, "the stream", 1)
        machine.wait_until(lambda: self.leader(name) is not None, 20, "the stream's leader")

    def leader(self, name):
        """By name, from any server that answers."""
        for first in range(3):
            done = subprocess.run([str(self.build / "bin" / "publish_nats"), "leader", "--name", name, "--nodes",
                                   self.addresses(first)[0]], capture_output=True, text=True, timeout=30, check=False)
            if done.returncode == 0 and done.stdout.startswith("n"):
                return int(done.stdout[1:])
        return None

    @staticmethod
    def version(build):
        return first_line(["nats-server", "--version"])


class Etcd(Peer):
    """Three members with etcd's defaults, but room for 8 GiB."""

    setup = publisher = "etcd"

    def start(self):
        self.ports, peer_ports = machine.free_ports(3), machine.free_ports(3)
        members = ",".join(f"e{i}=http://127.0.0.1:{port}" for i, port in enumerate(peer_ports))
        for i, port in enumerate(self.ports):
            client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_ports[i]}"
            self.nodes.append(self.processes.start(f"etcd{i}", [
                "etcd", "--name", f"e{i}", "--data-dir", self.folders[i] / "data", "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", members, "--log-level", "error", "--quota-backend-bytes", 8 << 30]))
        machine.wait_until(lambda: self.leader("") is not None, 30, "etcd's leader")

    def create(self, name, workload):
        pass  # keys need nothing

    def leader(self, name):
        for address in self.addresses():
            done = subprocess.run(["etcdctl", "--endpoints", address, "--command-timeout", "3s", "endpoint", "status",
                                   "-w", "json"],
                                  capture_output=True, text=True, timeout=20, check=False,
                                  env={**os.environ, "ETCDCTL_API": "3"})
            answers = json.loads(done.stdout) if done.stdout.startswith("[") else []  # none of a dead one
            status = answers[0]["Status"] if answers else {}
            if status.get("leader") and status["leader"] == status["header"]["member_id"]:
                return self.addresses().index(address)
        return None

    @staticmethod
    def version(build):
        return first_line(["etcd", "--version"])
