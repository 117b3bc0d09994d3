"""RabbitMQ: a quorum queue or a stream over three nodes of one cluster. Options: queue, synchronous."""
import json
import os
import subprocess

from compare import machine
from compare.peer import Peer

# The programs themselves; those in /usr/sbin change to another user.
PROGRAMS = "/usr/lib/rabbitmq/bin"


class RabbitMq(Peer):
    """Started once for all workloads, as it takes most of a minute on two cores."""

    setup = publisher = "rabbitmq"
    fresh = False

    def start(self):
        if not os.path.exists(f"{PROGRAMS}/rabbitmq-server"):
            raise machine.Unavailable("no rabbitmq-server")
        self.ports = machine.free_ports(3)
        self.inner_ports = machine.free_ports(4)
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text("COMPARE")
        cookie.chmod(0o400)
        mapper = self.inner_ports[3]
        self.processes.start("epmd", ["epmd", "-address", "127.0.0.1", "-port", mapper])
        machine.wait_until(lambda: machine.answers(mapper), 10, "epmd")
        for i in range(3):
            self.start_node(i)
            if i == 0:
                # The others find a cluster to join.
                self.wait_for(0)
        for i in (1, 2):
            self.wait_for(i)
        machine.wait_until(lambda: len(self.running()) == 3, 60, "rabbitmq's cluster", 1)
        self.beams = [self.beam_of(i) for i in range(3)]

    def start_node(self, i):
        folder = self.folders[i]
        nodes = "".join(f"cluster_formation.classic_config.nodes.{k + 1} = p{k}@localhost\n" for k in range(3))
        (folder / "rabbitmq.conf").write_text(
            "cluster_formation.peer_discovery_backend = classic_config\n" + nodes +
            "vm_memory_high_watermark.absolute = 4GB\ndisk_free_limit.absolute = 1GB\nlog.file.level = warning\n")
        (folder / "enabled_plugins").write_text("[].")
        self.nodes.append(self.processes.start(f"rabbit{i}", [f"{PROGRAMS}/rabbitmq-server"], self.environment(i)))

    def environment(self, i):
        folder = self.folders[i]
        of_rabbit = {
            "NODENAME": f"p{i}@localhost", "NODE_IP_ADDRESS": "127.0.0.1", "NODE_PORT": self.ports[i],
            "DIST_PORT": self.inner_ports[i], "MNESIA_BASE": folder / "data", "LOG_BASE": folder / "log",
            "CONFIG_FILE": folder / "rabbitmq.conf", "ADVANCED_CONFIG_FILE": folder / "advanced.config",
            "CONF_ENV_FILE": "/dev/null", "GENERATED_CONFIG_DIR": folder / "generated", "PID_FILE": folder / "pid",
            "ENABLED_PLUGINS_FILE": folder / "enabled_plugins", "FEATURE_FLAGS_FILE": folder / "feature_flags",
            "SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}"}
        kept = {key: value for key, value in os.environ.items() if not key.startswith("RABBITMQ_")}
        return {**kept, "HOME": str(self.folder), "ERL_EPMD_PORT": str(self.inner_ports[3]),
                "ERL_EPMD_ADDRESS": "127.0.0.1", **{f"RABBITMQ_{key}": str(value) for key, value in of_rabbit.items()}}

    def wait_for(self, i):
        machine.wait_until(lambda: machine.answers(self.ports[i]), 120, f"rabbitmq node {i}", 0.5)

    def ask(self, i, *words):
        return subprocess.run([f"{PROGRAMS}/rabbitmqctl", "-n", f"p{i}@localhost", *words, "--formatter", "json"],
                              env=self.environment(i), capture_output=True, text=True, timeout=90, check=False).stdout

    def running(self):
        answer = self.ask(0, "cluster_status")
        return json.loads(answer[answer.index("{"):])["running_nodes"]

    def beam_of(self, i):
        """The virtual machine among the processes that the start script left in its session."""
        return [pid for pid in self.processes.of_session(self.nodes[i])
                if "beam" in open(f"/proc/{pid}/comm", encoding="utf-8").read()]

    def pids_of(self, i):
        return self.beams[i]

    def settings(self, workload):
        return {"queue": self.options["queue"]}

    def leader(self, name):
        for i in range(3):
            if not machine.answers(self.ports[i]):
                continue
            answer = self.ask(i, "list_queues", "name", "leader")
            for queue in json.loads(answer[answer.index("["):]):
                if queue["name"] == name and str(queue["leader"]).startswith("p"):
                    return int(str(queue["leader"])[1])
        return None

    def forget(self, name):
        self.ask(0, "delete_queue", name)

    @staticmethod
    def version(build):
        done = subprocess.run(["dpkg-query", "-W", "-f=RabbitMQ ${Version}", "rabbitmq-server"], capture_output=True,
                              text=True, check=False)
        if done.returncode:
            raise machine.Unavailable("rabbitmq-server is not installed")
        return done.stdout.strip()
