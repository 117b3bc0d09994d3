"""What Forebay wants to reach, and how far it is: the lines of docs/BENCHMARKS.md, from result files."""
import argparse
import dataclasses
import datetime
import json
import os
import subprocess
import tempfile
import typing

from compare import figures, machine, run, single
from compare.forebay import MEMORY_FOLDER
from compare.peer import say
from compare.variants import VARIANTS

# The sink stands for another machine, as in forebay.py: in memory, so that its writes are not those of the nodes' disk.
SINK_FOLDER = MEMORY_FOLDER if os.access(MEMORY_FOLDER, os.W_OK) else tempfile.gettempdir()
# Runs of `forebay bench`, by name. Each starts three nodes of its own.
DEEP_IN_FLIGHT = ["--in-flight", "400000"]  # so that a partition of a thousand has as many as it takes to fill blocks
LOAD_1K = ["--event-bytes", "1KiB", "--producers", "8"]
RUNS = {
    "failover": ["--phases", "failover", "--rate", "2000", *LOAD_1K],
    "failover-1000": ["--phases", "failover", "--faults", "kill", "--partitions", "1000", "--rate", "1000", *LOAD_1K],
    "backlog": ["--phases", "backlog,catch-up", "--backlog", "2GiB", "--rate", "20000", "--sink",
                f"sqlite:{SINK_FOLDER}/forebay-goals.db", *LOAD_1K],
    **{f"partitions-{count}{depth}": ["--phases", "closed", "--partitions", str(count), "--producers", "8", *more]
       for depth, more in (("", []), ("-deep", DEEP_IN_FLIGHT)) for count in (12, 1000)},
    **{f"large-{size}": ["--phases", "closed", "--event-bytes", size, "--incompressible", "--producers", "8"]
       for size in ("4KiB", "64KiB", "1000000")},
}
# What the nodes do while they are asked for little, or for all they can.
PROFILED = {
    "2,000 events/s of 1 KiB": ["--phases", "open", "--rate", "2000", *LOAD_1K],
    "as many events of 1 KiB as it takes": ["--phases", "closed", *LOAD_1K],
    "as many events of 200 B as it takes": ["--phases", "closed", "--event-bytes", "200", "--producers", "8"],
    "as many events of 400 B over 1,000 partitions as it takes": RUNS["partitions-1000"],
}
PROFILE_ROWS = 8
# As in the comparison, with more in flight: what its table does not ask of everybody.
DEEP = argparse.Namespace(workloads=["deep1k", "deep200"], variants=["forebay", "forebay-backlog"], seconds=10, warm_up=2,
                          tries=3, folder=None, keep=False, forebay=None)


@dataclasses.dataclass(frozen=True)
class Goal:
    what: str
    limit: float
    unit: str
    read: typing.Callable  # of a Measured
    more: bool = False  # is better

    def share(self, value):
        """1 or more: reached."""
        return value / self.limit if self.more else self.limit / value if value else float("inf")


class Measured:
    """The figures of scripts/bench compare (a Results), and of the runs above by name and phase."""

    def __init__(self, compared, lines):
        self.compared = compared
        self.phases = {(line["name"], phase["phase"]): phase for line in lines if line["kind"] == "bench"
                       for phase in line["result"]["measurements"]}
        self.singles = {line["name"]: line["result"] for line in lines if line["kind"] == "single"}

    def of(self, workload, key, variant="forebay"):
        return self.compared.get(variant, workload, key)

    def phase(self, run, phase, *keys):
        value = self.phases.get((run, phase))
        for key in keys:
            value = value[key] if value is not None else None
        return value

    def gap(self, fault):
        faults = self.phase("failover", "failover", "faults") or []
        return max((each["partition_ack_gap_ms_max"] for each in faults if each["fault"] == fault), default=None)

    def live_p99_ratio(self):
        before, during = (self.phase("backlog", "catch-up", key, "p99_ms") for key in ("live_before", "live_during"))
        return figures.per(during, before) if during is not None else None

    def single(self, name, key):
        return self.singles.get(name, {}).get(key)

    def takeover_s(self):
        faults = self.phase("failover-1000", "failover", "faults")
        time = faults[0].get("new_owners_ms") if faults else None
        return time / 1000 if time is not None else None

    def disk_share(self, size):
        """Of what the disk takes when each byte is written three times."""
        taken, disk = self.phase(f"large-{size}", "closed", "bytes_per_second"), self.single("disk", "bytes_per_second")
        return 3 * taken / disk if taken is not None and disk else None

    def many_partitions(self, depth=""):
        few, many = (self.phase(f"partitions-{count}{depth}", "closed", "events_per_second") for count in (12, 1000))
        return figures.per(many, few) if many is not None else None


def best(key, *workloads, variant="forebay"):
    """Whatever the publishers have in flight."""
    def read(measured):
        values = [measured.of(workload, key, variant) for workload in workloads]
        return max((value for value in values if value is not None), default=None)
    return read


GOALS = (
    Goal("events/s of 1 KiB, drain running", 250_000, "", best("events_per_s", "max1k", "deep1k"), more=True),
    Goal("events/s of 1 KiB, drain stopped", 250_000, "",
         best("events_per_s", "max1k", "deep1k", variant="forebay-backlog"), more=True),
    Goal("events/s of 200 B, drain running", 800_000, "", best("events_per_s", "max200", "deep200"), more=True),
    Goal("events/s of 200 B, drain stopped", 800_000, "",
         best("events_per_s", "max200", "deep200", variant="forebay-backlog"), more=True),
    Goal("at 2,000 events/s, from due time: p50", 1.6, "ms", lambda of: of.of("rate1k", "p50_ms")),
    Goal("the same: p99", 10, "ms", lambda of: of.of("rate1k", "p99_ms")),
    Goal("the same: p99.9", 25, "ms", lambda of: of.of("rate1k", "p999_ms")),
    Goal("at half of the maximum: p99", 25, "ms", lambda of: of.of("half1k", "p99_ms")),
    Goal("CPU of all nodes per million events of 1 KiB, at the maximum", 5, "s",
         lambda of: of.of("deep1k", "server_cpu_s_per_million") or of.of("max1k", "server_cpu_s_per_million")),
    Goal("the same, at 2,000 events/s", 150, "s", lambda of: of.of("rate1k", "server_cpu_s_per_million")),
    Goal("bytes written on all nodes per byte of payload, drain running", 0.6, "",
         lambda of: of.of("deep1k", "written_per_byte") or of.of("max1k", "written_per_byte")),
    Goal("the same, drain stopped", 1.0, "", lambda of: of.of("deep1k", "written_per_byte", "forebay-backlog")
         or of.of("max1k", "written_per_byte", "forebay-backlog")),
    Goal("the same, drain stopped, up to a backlog of 10 GiB", 1.0, "",
         lambda of: of.single("full_backlog", "written_per_byte")),
    Goal("bytes between zones per byte of payload", 0.35, "", lambda of: of.single("zone_bytes", "per_byte")),
    Goal("what Append costs its caller in a linked program, 1 KiB", 400, "ns",
         lambda of: of.single("append", "nanoseconds")),
    Goal("allocations of the caller in it", 0.01, "", lambda of: of.single("append", "allocations")),
    Goal("longest gap of a partition without an acknowledgement: owner killed", 400, "ms", lambda of: of.gap("kill")),
    Goal("the same: owner frozen", 1200, "ms", lambda of: of.gap("freeze")),
    Goal("the same: owner's zone cut off", 1200, "ms", lambda of: of.gap("cut")),
    Goal("the same: owner restarted gracefully", 100, "ms", lambda of: of.gap("restart")),
    Goal("drain from a backlog into SQLite (its file in memory), beside 20,000 events/s: events/s", 150_000, "",
         lambda of: of.phase("backlog", "catch-up", "delivered_per_second"), more=True),
    Goal("p99 of that live traffic, against before", 2, "x", lambda of: of.live_p99_ratio()),
    Goal("PostgreSQL sink (COPY), batches of 1 MiB: events/s of 1 KiB", 100_000, "",
         lambda of: of.single("postgres", "events_per_second"), more=True),
    Goal("memory of a node with a backlog of 10 GiB", 512, "MiB", lambda of: of.single("full_backlog", "memory_mib")),
    Goal("killed and started with that backlog: until it accepts again", 3, "s",
         lambda of: of.single("full_backlog", "restart_s")),
    Goal("10,000 idle partitions: syncs in 30 s", 0, "", lambda of: of.single("idle", "syncs")),
    Goal("the same: of a core, per node", 0.02, "", lambda of: of.single("idle", "core_share")),
    Goal("the same: memory of each on a node", 4, "KiB", lambda of: of.single("idle", "memory_kib_each")),
    Goal("throughput with 1,000 partitions, against 12: 20,000 events in flight", 0.8, "x",
         lambda of: of.many_partitions(), more=True),
    Goal("the same: 400,000 events in flight", 0.8, "x", lambda of: of.many_partitions("-deep"), more=True),
    Goal("1,000 partitions: all of a killed node's have a new owner", 3, "s",
         lambda of: of.takeover_s()),
    *(Goal(f"incompressible events of {text}, against what the disk takes at three copies", 0.6, "x",
           lambda of, size=size: of.disk_share(size), more=True)
      for size, text in (("4KiB", "4 KiB"), ("64KiB", "64 KiB"), ("1000000", "1 MB"))),
)


def shown(value, unit):
    text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{text} {unit}".rstrip()


def table(measured):
    lines = ["| goal | wanted | measured | reached |", "|---|---|---|---|"]
    for goal in GOALS:
        value = goal.read(measured)
        sign = "≥" if goal.more else "≤"
        there = "–" if value is None else shown(value, goal.unit)
        share = None if value is None else goal.share(value)
        reached = "not measured" if share is None else "yes" if share >= 1 else f"no: {share:.0%} of it"
        lines.append(f"| {goal.what} | {sign} {shown(goal.limit, goal.unit)} | {there} | {reached} |")
    return "\n".join(lines)


def profiles_text(lines):
    """Where the time goes, and what a switch between threads costs here."""
    parts = []
    for line in lines:
        if line["kind"] != "profile":
            continue
        rows = ", ".join(f"{row['thread']} in {row['where']} {row['share']:.0%}" for row in line["rows"])
        counts = ", ".join(f"{count:.2g} {what}" for what, count in line.get("per_event", {}).items())
        parts.append(f"- **{line['load']}**: {rows}; of it in the kernel {line['kernel_share']:.0%}."
                     + (f" For each event: {counts}." if counts else ""))
    switch = next((line["microseconds"] for line in lines if line["kind"] == "switch"), None)
    if switch is not None:
        parts.append(f"- Two threads that wake each other in turn take {switch:.1f} us for a round here "
                     "(`perf bench sched pipe -T`).")
    return "\n".join(parts)


def run_bench(program, arguments):
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [program, "bench", *arguments, "--json", file.name]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        text = file.read().decode()
        if not text:
            raise machine.Unavailable(f"forebay bench ended with {done.returncode}: {done.stderr or done.stdout}")
        return json.loads(text)


COUNTED = {"switches of threads": "context-switches", "calls of futex": "syscalls:sys_enter_futex",
           "sends": "syscalls:sys_enter_sendmsg", "syncs": "syscalls:sys_enter_fdatasync"}


def counted(seconds):
    """How often a second the machine does what COUNTED names; less where perf may not see system calls."""
    done = subprocess.run(["perf", "stat", "-a", "-x", ";", "-e", ",".join(COUNTED.values()), "--", "sleep", str(seconds)],
                          capture_output=True, text=True, check=False)
    cells = [line.split(";") for line in done.stderr.splitlines() if line.count(";") > 2]
    numbers = {row[2]: float(row[0]) / seconds for row in cells if row[0].isdigit()}
    return {what: numbers[event] for what, event in COUNTED.items() if event in numbers}


def profile(program, load, arguments, seconds=5, after=5):
    """Shares of all time that a processor was not idle, by thread and library; and what an event takes, publishers too."""
    with tempfile.NamedTemporaryFile(suffix=".data") as data, tempfile.NamedTemporaryFile(
            suffix=".json") as result, subprocess.Popen(
            [program, "bench", *arguments, "--warm-up", "3s", "--time", f"{2 * seconds + after}s", "--json", result.name],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as bench:
        subprocess.run(["sleep", str(after)], check=True)
        subprocess.run(["perf", "record", "-a", "-F", "499", "-o", data.name, "--", "sleep", str(seconds)],
                       capture_output=True, check=True)
        counts = counted(seconds)
        bench.wait()
        rate = json.load(result)["measurements"][0]["events_per_second"]
        text = subprocess.run(["perf", "report", "-i", data.name, "--sort", "comm,dso", "-F", "overhead,comm,dso", "-t",
                               "|"], capture_output=True, text=True, check=True).stdout
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.count("|") == 2]
    shares = {(thread, where.removeprefix("[").removesuffix(".kallsyms]")): float(share.removesuffix("%"))
              for share, thread, where in rows if "%" in share and thread != "swapper"}
    busy = sum(shares.values())
    most = sorted(shares.items(), key=lambda each: -each[1])[:PROFILE_ROWS]
    return {"load": load, "per_event": {what: count / rate for what, count in counts.items()},
            "kernel_share": sum(share for (_, where), share in shares.items() if where == "kernel") / busy,
            "rows": [{"thread": thread, "where": where, "share": share / busy} for (thread, where), share in most]}


PARTS = ("deep", *RUNS, *single.ALL, "profiles")


def part_of(line):
    """Which of PARTS a line of the result file is from."""
    return {"run": "deep", "profile": "profiles", "switch": "profiles"}.get(line["kind"], line.get("name"))


def measure(asked, out):
    """Writes a line for each run of the parts that are asked for."""
    def write(kind, **fields):
        out.write(json.dumps({"kind": kind, **fields}) + "\n")
        out.flush()
    program = str(asked.build / "bin" / "forebay")
    write("machine", **machine.description(tempfile.gettempdir()), command=asked.command,
          date=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"))
    if "deep" in asked.only:
        deep = run.Runner(argparse.Namespace(**vars(DEEP), build=asked.build), out)
        for name in DEEP.variants:
            deep.run_variant(VARIANTS[name], 0)
    for name in (name for name in asked.only if name in RUNS):
        say(f"forebay bench {' '.join(RUNS[name])}")
        write("bench", name=name, arguments=RUNS[name], result=run_bench(program, RUNS[name]))
    for name in (name for name in asked.only if name in single.ALL):
        say(name)
        try:
            write("single", name=name, result=single.ALL[name](asked.build))
        except (machine.Unavailable, OSError, subprocess.SubprocessError) as reason:
            say(f"{name}: FAILED: {reason}")  # the table says that it was not measured
    if "profiles" in asked.only:
        measure_profiles(program, write)


def measure_profiles(program, write):
    for load, arguments in PROFILED.items():
        say(f"profile: {load}")
        write("profile", **profile(program, load, arguments))
    text = subprocess.run(["perf", "bench", "-f", "simple", "sched", "pipe", "-T", "-l", "50000"], capture_output=True,
                          text=True, check=True).stdout
    write("switch", microseconds=float(text.split()[0]) / 50_000 * 1e6)
