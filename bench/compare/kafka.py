"""Kafka: three brokers that are their own controllers (KRaft)."""
import base64
import glob
import os
import pathlib
import subprocess
import uuid

from compare import machine
from compare.peer import Peer
from compare.workloads import WORKLOADS

POM = pathlib.Path(__file__).parent / "kafka" / "pom.xml"
JARS = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "forebay-compare" / "kafka"
WARM_UP_S = 3
# What its own start script gives a broker.
JAVA = ("java", "-server", "-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
        "-XX:InitiatingHeapOccupancyPercent=35", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")


def class_path():
    """Of KAFKA_HOME, or of the published jars that Maven fetches once."""
    home = os.environ.get("KAFKA_HOME")
    if home:
        return f"{home}/libs/*"
    if not glob.glob(f"{JARS}/kafka_*.jar"):
        try:
            subprocess.run(["mvn", "-q", "-B", "-f", POM, "dependency:copy-dependencies", "-DincludeScope=runtime",
                            f"-DoutputDirectory={JARS}"], check=True, timeout=600, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except (OSError, subprocess.SubprocessError) as error:
            raise machine.Unavailable("neither KAFKA_HOME nor Maven has Kafka") from error
    return f"{JARS}/*"


class Kafka(Peer):
    """Options: codec of the producers; flush: log.flush.interval.messages=1."""

    setup = publisher = "kafka"
    fresh = False

    def start(self):
        jars = class_path()
        self.ports, controllers = machine.free_ports(3), machine.free_ports(3)
        voters = ",".join(f"{i}@127.0.0.1:{port}" for i, port in enumerate(controllers))
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        formats = []
        for i, port in enumerate(self.ports):
            config = self.folders[i] / "server.properties"
            config.write_text("".join(f"{key}={value}\n" for key, value in {
                "node.id": i, "process.roles": "broker,controller", "controller.quorum.voters": voters,
                "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controllers[i]}",
                "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}", "controller.listener.names": "CONTROLLER",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                "log.dirs": self.folders[i] / "data", "default.replication.factor": 3, "min.insync.replicas": 2,
                "offsets.topic.replication.factor": 3, "transaction.state.log.replication.factor": 3,
                "auto.create.topics.enable": "false",
                **({"log.flush.interval.messages": 1} if self.options["flush"] else {})}.items()))
            formats.append(self.processes.start(f"format{i}", [
                *JAVA, "-cp", jars, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", config]))
        for each in formats:
            each.wait(60)
        for i in range(3):
            self.nodes.append(self.processes.start(
                f"kafka{i}", [*JAVA, "-cp", jars, "kafka.Kafka", self.folders[i] / "server.properties"]))
        machine.wait_until(lambda: all(machine.answers(port) for port in self.ports), 90, "kafka", 0.5)
        self.warm_up()

    def warm_up(self):
        """Producer ids are handed out, and the virtual machines have compiled what they run."""
        load = WORKLOADS["max1k"]
        self.create("warm-up", load)
        self.run_publisher(["publish", "--warm-up", 0, "--seconds", WARM_UP_S], "warm-up", load)

    def settings(self, workload):
        return {**super().settings(workload), "codec": self.options["codec"]}

    def create(self, name, workload):
        machine.wait_until(lambda: super(Kafka, self).create(name, workload) is None, 60, "the topic", 1)
        machine.wait_until(lambda: self.leader(name) is not None, 30, "the topic's leader")

    def leader(self, name):
        for first in range(3):
            done = subprocess.run([str(self.build / "bin" / "publish_kafka"), "leader", "--name", name, "--nodes",
                                   self.addresses(first)[0]], capture_output=True, text=True, timeout=30, check=False)
            if done.returncode == 0 and done.stdout.strip().isdigit():
                return int(done.stdout)
        return None

    @staticmethod
    def version(build):
        class_path()
        jars = os.path.join(os.environ["KAFKA_HOME"], "libs") if os.environ.get("KAFKA_HOME") else JARS
        found = sorted(path.name for path in pathlib.Path(jars).glob("kafka_*.jar"))
        if not found:
            raise machine.Unavailable("no Kafka jar")
        return found[0].removesuffix(".jar")
