"""What every peer can do for the driver, and the command of its publishers."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys

from compare import machine


class Peer:
    """Three nodes of a peer on loopback, in a folder. One object per cluster."""

    setup = ""  # the group of scripts/setup that installs it; empty: nothing to install
    publisher = ""  # its program is publish_<publisher>
    fresh = True  # cheap to start: every workload gets new nodes, with nothing on disk

    def __init__(self, folder, build, options):
        self.folder, self.build, self.options = pathlib.Path(folder), pathlib.Path(build), options
        self.processes = machine.Processes(folder)
        self.nodes, self.ports = [], []
        self.folders = [self.folder / f"n{i}" for i in range(3)]
        for each in self.folders:
            each.mkdir()
        if options.get("synchronous"):
            # Every write(2) below is then synchronous: ext4, inherited, and only root may.
            subprocess.run(["chattr", "+S", *self.folders], check=True)

    def start(self):
        raise NotImplementedError

    def stop(self):
        self.processes.stop()

    def pids(self):
        return [pid for i in range(3) for pid in self.pids_of(i)]

    def pids_of(self, i):
        return [self.nodes[i].pid]

    def addresses(self, first=0):
        """Of the nodes, with the `first` one first."""
        return [f"127.0.0.1:{self.ports[(first + k) % 3]}" for k in range(3)]

    def settings(self, workload):
        """For the publishers."""
        return {"partitions": workload.partitions}

    def create(self, name, workload):
        """Makes what is published to."""
        self.run_publisher(["create"], name, workload)

    def forget(self, name):
        """After a workload, where the nodes stay for the next one."""

    def leader(self, name):
        """The index of the node that takes the events."""
        return 0

    def prepare_kill(self):
        """Before the leader is killed: what watches over it, where that is a process of its own."""

    def kill(self, i):
        for pid in self.pids_of(i):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def read_back(self, name, workload, ids, killed):
        """Counts of what is stored on the nodes that are left, against the file of acknowledged ids."""
        left = [self.addresses()[i] for i in range(3) if i != killed]

        def new_leader():
            leader = self.leader(name)
            return None if leader in (None, killed) else self.addresses()[leader]

        lead = machine.wait_until(new_leader, 60, "a new leader")
        left.sort(key=lambda address: address != lead)
        return self.run_publisher(["read", "--ids", ids], name, workload, left)

    def drained(self):
        """What a consumer has still to take, where the peer has one: events, or None."""
        return None

    @staticmethod
    def version(build):
        raise NotImplementedError

    def publisher_command(self, arguments, name, workload, addresses=None):
        command = [self.build / "bin" / f"publish_{self.publisher}", *arguments, "--name", name,
                   "--nodes", ",".join(addresses or self.addresses(self.leader(name) or 0)),
                   "--event-bytes", workload.event_bytes]
        for key, value in self.settings(workload).items():
            command += ["--set", f"{key}={value}"]
        return [str(word) for word in command]

    def run_publisher(self, arguments, name, workload, addresses=None):
        command = self.publisher_command(arguments, name, workload, addresses or self.addresses())
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise machine.Unavailable(f"{' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return result_of(done.stdout.splitlines())


def result_of(lines):
    for line in lines:
        if line.startswith("RESULT "):
            return json.loads(line[7:])
    return {}


def first_line(command):
    """Of what a program says, for its version."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise machine.Unavailable(f"{command[0]} does not run: {error}") from error
    return (done.stdout or done.stderr).strip().splitlines()[0]


def say(*words):
    print(*words, file=sys.stderr, flush=True)
