"""Forebay: three nodes in three zones, every acknowledgement after fsync in two of them."""
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile

from compare import machine
from compare.peer import Peer, first_line

# The zone's events end in a database of another machine; in memory, its writes do not count as the nodes'.
MEMORY_FOLDER = "/dev/shm"


class Forebay(Peer):
    """Options: sink (an SQLite file drains the stream meanwhile; otherwise everything is kept); program."""

    publisher = "forebay"

    def __init__(self, folder, build, options):
        super().__init__(folder, build, options)
        self.program = options.get("program") or str(self.build / "bin" / "forebay")
        self.sink_folder = None

    def start(self):
        if not os.path.exists(self.program):
            raise machine.Unavailable(f"no {self.program}: it is built first")
        self.ports, self.metrics_ports = machine.free_ports(3), []

    def create(self, name, workload):
        """The stream is one of the nodes' settings, so that they start here."""
        self.start_nodes(name, workload.partitions, with_sink=self.options["sink"] or workload.kill)

    def start_nodes(self, name, partitions, with_sink, seconds=60, metrics=False):
        sinks = ""
        if metrics:
            self.metrics_ports = machine.free_ports(3)
        if with_sink:
            base = MEMORY_FOLDER if os.access(MEMORY_FOLDER, os.W_OK) else self.folder
            self.sink_folder = tempfile.mkdtemp(prefix="forebay-compare-", dir=base)
            sinks = f"sinks:\n  - {{name: out, stream: {name}, url: 'sqlite:{self.sink_folder}/events.db'}}\n"
        for i, zone in enumerate("abc"):
            self.config_of(i).write_text(
                f"node: {zone}1\nzone: {zone}\ndata_directory: {self.folders[i]}/data\n"
                f"metadata: sqlite:{self.folder}/metadata.db\nlisten: 127.0.0.1:{self.ports[i]}\n"
                f"streams:\n  - {{name: {name}, partitions: {partitions}}}\n{sinks}"
                + (f"metrics: {{listen: 127.0.0.1:{self.metrics_ports[i]}}}\n" if metrics else ""))
            self.nodes.append(None)
            self.start_node(i)
        machine.wait_until(lambda: self.ready(name, partitions), seconds, "forebay")

    def config_of(self, i):
        return self.folder / f"{'abc'[i]}.yaml"

    def start_node(self, i):
        command = [self.program, "node", "--config", self.config_of(i)]
        self.nodes[i] = self.processes.start(f"forebay-{'abc'[i]}1", command)

    def stop(self):
        super().stop()
        if self.sink_folder:
            shutil.rmtree(self.sink_folder, ignore_errors=True)

    def status(self):
        done = subprocess.run([self.program, "status", "--json", "--nodes", ",".join(self.addresses())],
                              capture_output=True, text=True, timeout=30, check=False)
        return json.loads(done.stdout)

    def ready(self, name, partitions):
        status = self.status()
        complete = [each for each in status["partitions"] if each["stream"] == name and each["owner"]
                    and each["owner_answers"] and len(each["in_sync"]) == 3]
        return (len(status["nodes"]) == 3 and all(node["alive"] for node in status["nodes"])
                and len(complete) == partitions)

    def leader(self, name):
        if not self.nodes:
            return 0
        owner = next((each["owner"] for each in self.status()["partitions"]
                      if each["stream"] == name and each["owner"] and each["owner_answers"]), None)
        return "abc".index(owner[0]) if owner else None

    def drained(self):
        sinks = self.status()["sinks"]
        return sum(sink["lag_events"] for sink in sinks) if sinks else None

    def read_back(self, name, workload, ids, killed):
        """What reached the sink."""
        machine.wait_until(lambda: self.leader(name) not in (None, killed) and self.drained() == 0, 60, "the drain")
        with open(ids, encoding="utf-8") as file:
            acknowledged = {int(line) for line in file}
        with sqlite3.connect(f"file:{self.sink_folder}/events.db?mode=ro", uri=True) as database:
            read = [int(payload[7:23], 16) for (payload,) in database.execute("SELECT payload FROM events")]
        return {"acknowledged": len(acknowledged), "read": len(read), "lost": len(acknowledged - set(read)),
                "duplicates": len(read) - len(set(read)), "foreign": 0}

    @staticmethod
    def version(build):
        return "Forebay " + first_line([str(build / "bin" / "forebay"), "--version"]).split()[-1]
