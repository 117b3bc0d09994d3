"""What Forebay wants to reach and neither the comparison nor `forebay bench` alone shows: nodes started here, looked at
from outside, and the programs that stand for one step."""
import contextlib
import json
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

from compare import machine
from compare.forebay import Forebay

EVENT_BYTES = 1024
LOAD = ["--phases", "closed", "--event-bytes", "1KiB", "--producers", "8"]
BACKLOG_BYTES = 10 << 30
IDLE_PARTITIONS = 10_000
IDLE_SECONDS = 30
DISK_SECONDS = 10
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def nodes(build, partitions, **settings):
    """Three that keep everything, as they have no sink."""
    folder = tempfile.mkdtemp(prefix="forebay-goals-")
    peer = Forebay(folder, build, {"sink": False})
    try:
        peer.start()
        peer.start_nodes("web", partitions, with_sink=False, **settings)
        yield peer
    finally:
        peer.stop()
        shutil.rmtree(folder, ignore_errors=True)


def load(peer, seconds):
    subprocess.run([peer.program, "bench", "--nodes", ",".join(peer.addresses()), "--stream", "web", *LOAD, "--time",
                    f"{seconds}s"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)


def committed(peer):
    """Events, of all partitions."""
    return sum(each["committed"] for each in peer.status()["partitions"] if each["stream"] == "web")


def between_nodes(sockets, pids):
    """Bytes that nodes have sent each other, from `ss -tinpOH`: what their connections' other ends confirmed."""
    owner, sent = {}, []
    for line in sockets.splitlines():
        pid, acked = re.search(r"pid=(\d+)", line), re.search(r"bytes_acked:(\d+)", line)
        words = line.split()
        if pid is None or int(pid[1]) not in pids or words[0] != "ESTAB":
            continue
        owner[port_of(words[3])] = int(pid[1])
        sent.append((port_of(words[4]), int(acked[1]) if acked else 0))
    return sum(count for other, count in sent if other in owner)


def port_of(address):
    """All are on loopback, where one end may say 127.0.0.1 and the other [::ffff:127.0.0.1]."""
    return address.rsplit(":", 1)[1]


def zone_bytes(build):
    with nodes(build, 6) as peer:
        load(peer, 10)
        sockets = subprocess.run(["ss", "-tinpOH"], capture_output=True, text=True, check=True).stdout
        return {"per_byte": between_nodes(sockets, set(peer.pids())) / (committed(peer) * EVENT_BYTES)}


def accepts(peer, address):
    done = subprocess.run([peer.program, "append", "--nodes", address, "--stream", "web", "--give-up-after", "1s"],
                          input='{"payload":1}\n', text=True, capture_output=True, check=False)
    return done.returncode == 0


def full_backlog(build):
    """Until 10 GiB wait; then a node is killed and started again."""
    with nodes(build, 6) as peer:
        before = machine.take_sample(peer.pids(), "")
        while committed(peer) * EVENT_BYTES < BACKLOG_BYTES:
            load(peer, 10)
        after = machine.take_sample(peer.pids(), "")
        payload = committed(peer) * EVENT_BYTES
        memory = max(machine.take_sample([pid], "").memory_mib for pid in peer.pids())
        peer.nodes[0].send_signal(signal.SIGKILL)
        peer.nodes[0].wait()
        begin = time.monotonic()
        peer.start_node(0)
        machine.wait_until(lambda: accepts(peer, peer.addresses()[0]), 120, "the restarted node", pause=0)
        return {"payload_bytes": payload, "written_per_byte": (after.written_bytes - before.written_bytes) / payload,
                "memory_mib": memory, "restart_s": time.monotonic() - begin}


def syncs(peer):
    total = 0
    for port in peer.metrics_ports:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
            total += sum(float(line.split()[-1]) for line in page.read().decode().splitlines()
                         if line.startswith("forebay_wal_syncs_total"))
    return total


def idle(build):
    """What partitions cost that nobody appends to: beside nodes that have one."""
    figures = {}
    for partitions in (1, IDLE_PARTITIONS):
        with nodes(build, partitions, seconds=300, metrics=True) as peer:
            time.sleep(IDLE_SECONDS)  # until what came with the start is done
            before, synced = machine.take_sample(peer.pids(), ""), syncs(peer)
            time.sleep(IDLE_SECONDS)
            after = machine.take_sample(peer.pids(), "")
            figures[partitions] = {
                "core_share": (after.cpu_s - before.cpu_s) / (after.at - before.at) / 3,
                "memory_kib": max(machine.take_sample([pid], "").memory_mib for pid in peer.pids()) * 1024,
                "syncs": syncs(peer) - synced}
    one, many = figures[1], figures[IDLE_PARTITIONS]
    return {"partitions": IDLE_PARTITIONS, "seconds": IDLE_SECONDS, "syncs": many["syncs"],
            "core_share": many["core_share"], "core_share_of_one": one["core_share"],
            "memory_kib_each": (many["memory_kib"] - one["memory_kib"]) / IDLE_PARTITIONS}


def disk(_build):
    """What three files that grow by a synced MiB at a time take, all together."""
    with tempfile.TemporaryDirectory(prefix="forebay-goals-") as folder:
        done = subprocess.run(
            ["fio", "--name=mirror", f"--directory={folder}", "--numjobs=3", "--rw=write", "--bs=1M", "--size=8G",
             "--fdatasync=1", f"--runtime={DISK_SECONDS}", "--time_based", "--group_reporting", "--output-format=json"],
            capture_output=True, text=True, check=True)
        return {"bytes_per_second": json.loads(done.stdout)["jobs"][0]["write"]["bw_bytes"]}


def program(command):
    """{name of a benchmark: its result}"""
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise machine.Unavailable(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return {each["name"]: each for each in json.loads(done.stdout)["benchmarks"]}


def append(build):
    found = program([build / "bin" / "append_bench", "--benchmark_format=json"])["Append/1024"]
    return {"nanoseconds": found["cpu_time"], "allocations": found["allocations"]}


def postgres(build):
    found = program([REPOSITORY / "scripts" / "with-postgres", "--durable", build / "bin" / "sink_bench",
                     "--benchmark_filter=Postgres/1024", "--benchmark_format=json"])
    result = found["Postgres/1024/real_time"]
    if result.get("error_occurred"):
        raise machine.Unavailable(result["error_message"])
    return {"events_per_second": result["items_per_second"]}


ALL = {each.__name__: each for each in (append, zone_bytes, idle, disk, postgres, full_backlog)}
