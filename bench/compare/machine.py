"""This machine: its processes, ports, clocks and disk."""
import contextlib
import dataclasses
import glob
import os
import pathlib
import platform
import signal
import socket
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
SECTOR_BYTES = 512


class Unavailable(Exception):
    """A peer that is not installed here, or does not start."""


def wait_until(ready, seconds, what, pause=0.2):
    """The first true answer of ready(). What it throws counts as no."""
    end, last = time.monotonic() + seconds, None
    while time.monotonic() < end:
        with contextlib.suppress(Exception):
            last = ready()
            if last:
                return last
        time.sleep(pause)
    raise Unavailable(f"{what} did not come up within {seconds} s")


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Processes:
    """Started here, in sessions of their own; stop() ends those and whatever they started."""

    def __init__(self, folder):
        self.folder, self.all = pathlib.Path(folder), []

    def start(self, name, command, env=None):
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=subprocess.STDOUT, env=env, cwd=self.folder, start_new_session=True)
        self.all.append(process)
        return process

    def of_session(self, process):
        """Pids of the session that a process of ours leads."""
        found = []
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError, ValueError):
                if os.getsid(int(name)) == process.pid:
                    found.append(int(name))
        return found

    def stop(self):
        """At once: what they hold is removed anyway."""
        for process in self.all:
            for pid in self.of_session(process):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
        self.all = []


@dataclasses.dataclass
class Sample:
    """Counters since their start: of some processes, of the machine, of its disk."""
    at: float
    cpu_s: float = 0
    user_s: float = 0
    written_bytes: int = 0
    memory_mib: float = 0
    machine_user_s: float = 0
    disk_bytes: int = 0
    disk_flushes: int = 0


def stat_fields(pid):
    """/proc/PID/stat after the name, which may hold blanks: utime is [11], stime [12], of children [13] [14]."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def take_sample(pids, disk):
    sample = Sample(at=time.monotonic())
    for pid in pids:
        with contextlib.suppress(OSError):
            times = [int(field) / TICKS for field in stat_fields(pid)[11:15]]
            sample.cpu_s += sum(times)
            sample.user_s += times[0] + times[2]
            io = pathlib.Path(f"/proc/{pid}/io").read_text()
            sample.written_bytes += int(dict(line.split(": ") for line in io.splitlines())["write_bytes"])
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            resident = [line for line in status.splitlines() if line.startswith("VmRSS")]
            sample.memory_mib += int(resident[0].split()[1]) / 1024 if resident else 0
    cpu = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()
    sample.machine_user_s = (int(cpu[1]) + int(cpu[2])) / TICKS
    for line in pathlib.Path("/proc/diskstats").read_text().splitlines():
        fields = line.split()
        if fields[2] == disk:
            sample.disk_bytes = int(fields[9]) * SECTOR_BYTES
            sample.disk_flushes = int(fields[18]) if len(fields) > 18 else 0
    return sample


def disk_of(folder):
    """The name that /proc/diskstats has for the disk under a folder."""
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        source = subprocess.check_output(["df", "--output=source", folder], text=True).split()[-1]
        return os.path.basename(os.path.realpath(source))
    return ""


def sync_microseconds(folder, count=60):
    """How long one 4 KiB append with fdatasync takes here and now, as median: how the disk is doing."""
    taken, path = [], os.path.join(folder, "sync-probe")
    file = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        for i in range(count):
            begin = time.monotonic()
            os.pwrite(file, b"x" * 4096, i * 4096)
            os.fdatasync(file)
            taken.append(time.monotonic() - begin)
    finally:
        os.close(file)
        os.unlink(path)
    return round(sorted(taken)[count // 2] * 1e6)


def description(folder):
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                  if line.startswith("model name")), platform.machine())
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo", encoding="utf-8"))
    system = "Linux"
    for path in glob.glob("/etc/os-release"):
        system = next((line.split("=", 1)[1].strip().strip('"') for line in open(path, encoding="utf-8")
                       if line.startswith("PRETTY_NAME=")), system)
    file_system = subprocess.run(["df", "--output=fstype", folder], capture_output=True, text=True,
                                 check=False).stdout.split()[-1:]
    return {"processor": model, "cores": os.cpu_count(), "memory_gib": round(memory / 2**20),
            "system": system, "kernel": platform.release(), "file_system": "".join(file_system),
            "sync_4kib_us": sync_microseconds(folder)}
