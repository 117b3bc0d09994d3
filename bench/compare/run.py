"""Runs workloads against variants, and writes a JSON line for each run."""
import contextlib
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from compare import figures, machine
from compare.peer import result_of, say
from compare.variants import VARIANTS
from compare.workloads import WORKLOADS

KILL_AFTER_S = 3
# A failover needs its time: Kafka misses a broker after 9 s only.
KILL_WINDOW_S = 20
# Where nobody is killed, a peer that does not answer is slow: what is sent again would make it slower.
PATIENCE = 8


class Runner:
    def __init__(self, asked, out):
        self.asked, self.out = asked, out
        self.build = pathlib.Path(asked.build).resolve()
        self.base = pathlib.Path(asked.folder).resolve() if asked.folder else pathlib.Path(tempfile.gettempdir())
        self.disk = machine.disk_of(self.base)
        self.reached = {}  # (variant, workload) -> events/s of the runs so far

    def write(self, kind, **fields):
        self.out.write(json.dumps({"kind": kind, **fields}) + "\n")
        self.out.flush()

    def run_all(self, variants):
        repository = pathlib.Path(__file__).resolve().parents[2]
        commit = subprocess.run(["git", "-C", repository, "rev-parse", "--short", "HEAD"], capture_output=True,
                                text=True, check=False).stdout.strip()
        self.write("machine", **machine.description(self.base), commit=commit, command=self.asked.command,
                   date=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"))
        for name in variants:
            variant = VARIANTS[name]
            try:
                version = variant.peer.version(self.build)
                if not (self.build / "bin" / f"publish_{variant.peer.publisher}").exists():
                    raise machine.Unavailable("its client library is not installed")
            except machine.Unavailable as reason:
                say(f"{name}: not installed here: {reason}")
                self.write("not_installed", variant=name, reason=str(reason))
                continue
            self.write("variant", variant=name, version=version)
            for repeat in range(self.asked.repeats):
                try:
                    self.run_variant(variant, repeat)
                except (machine.Unavailable, OSError, subprocess.SubprocessError) as reason:
                    say(f"{name}: FAILED: {reason}")
                    self.write("failed", variant=name, repeat=repeat, reason=str(reason))

    @contextlib.contextmanager
    def cluster(self, variant):
        folder = tempfile.mkdtemp(prefix="forebay-compare-", dir=self.base)
        peer = None
        try:
            peer = variant.peer(folder, self.build, {**variant.options, "program": self.asked.forebay})
            peer.start()
            yield peer
        except machine.Unavailable:
            if self.asked.keep:
                say(f"logs are in {folder}")
            raise
        finally:
            if peer:
                peer.stop()
            if not self.asked.keep:
                shutil.rmtree(folder, ignore_errors=True)

    def run_variant(self, variant, repeat):
        """The workload that kills comes last, as it leaves two nodes."""
        workloads = sorted((WORKLOADS[name] for name in self.asked.workloads), key=lambda each: each.kill)
        with contextlib.ExitStack() as stack:
            peer = None
            for workload in workloads:
                if peer is None or peer.fresh:
                    stack.close()
                    peer = stack.enter_context(self.cluster(variant))
                self.run_workload(variant, peer, workload, repeat)

    def rate_of(self, variant, workload):
        if not workload.half_of:
            return workload.rate
        reached = figures.median(self.reached.get((variant.name, workload.half_of), []))
        return round(reached / 2) if reached else None

    def run_workload(self, variant, peer, workload, repeat):
        rate = self.rate_of(variant, workload)
        if rate is None:
            say(f"{variant.name} {workload.name}: skipped, it needs {workload.half_of} first")
            return
        for attempt in range(self.asked.tries):
            if attempt and peer.fresh:
                peer.stop()
                with self.cluster(variant) as again:
                    result = self.measure(again, workload, rate, f"{workload.name}-{repeat}-{attempt}")
            else:
                result = self.measure(peer, workload, rate, f"{workload.name}-{repeat}-{attempt}")
            if not result["disturbed"] or workload.kill:
                break
            say(f"{variant.name} {workload.name}: other processes used {result['foreign_cpu_s']} s of user time")
        self.reached.setdefault((variant.name, workload.name), []).append(result["events_per_s"])
        self.write("run", variant=variant.name, workload=workload.name, repeat=repeat, rate=rate,
                   event_bytes=workload.event_bytes, **result)
        say(line_of(variant, workload, result))

    def measure(self, peer, workload, rate, name):
        seconds = max(self.asked.seconds, KILL_WINDOW_S) if workload.kill else self.asked.seconds
        peer.create(name, workload)
        if workload.kill:
            peer.prepare_kill()
        ids = pathlib.Path(peer.folder) / f"{name}.ids"
        arguments = ["publish", "--publishers", workload.publishers, "--in-flight", workload.in_flight, "--rate",
                     rate, "--warm-up", self.asked.warm_up, "--seconds", seconds]
        if workload.kill:
            arguments += ["--ids", ids, "--settle", 30]
        else:
            arguments += ["--patience", PATIENCE]
        leader = peer.leader(name) or 0
        sync_us = machine.sync_microseconds(peer.folder)
        pids = peer.pids()
        samples, result = {}, {}
        with subprocess.Popen(peer.publisher_command(arguments, name, workload), stdout=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, text=True) as publisher:
            for line in publisher.stdout:
                if line.strip() in ("BEGIN", "END"):
                    samples[line.strip()] = machine.take_sample(pids, self.disk)
                if line.strip() == "BEGIN" and workload.kill:
                    time.sleep(KILL_AFTER_S)
                    peer.kill(leader)
                result = result or result_of([line])
        if publisher.returncode or not result:
            raise machine.Unavailable(f"the publisher ended with {publisher.returncode}")
        result["seconds"] = seconds
        result["sync_4kib_us"] = sync_us
        result["consumer_lag_events"] = peer.drained() if not workload.kill else None
        self.add_server_figures(result, samples, workload)
        if workload.kill:
            result.update(peer.read_back(name, workload, ids, leader))
        elif not peer.fresh:
            peer.forget(name)
        return result

    @staticmethod
    def add_server_figures(result, samples, workload):
        before, after = samples["BEGIN"], samples["END"]
        foreign = figures.foreign_cpu_s(before, after, result["client_user_s"])
        result["foreign_cpu_s"] = round(foreign, 2)
        result["disturbed"] = figures.disturbed(foreign, after.at - before.at, os.cpu_count())
        if not workload.kill:  # a dead process takes its counters along
            result.update(figures.server_figures(before, after, result["events"], workload.event_bytes))


def line_of(variant, workload, result):
    text = (f"{variant.name:18} {workload.name:9} {result['events_per_s']:10,.0f}/s  p50 {result['p50_ms']:.2f}  "
            f"p99 {result['p99_ms']:.2f}  p99.9 {result['p999_ms']:.2f} ms")
    if workload.kill:
        text += (f"  gap {result['gap_ms']:.0f} ms  lost {result['lost']} of {result['acknowledged']}, "
                 f"{result['duplicates']} duplicates")
    else:
        text += f"  CPU {result['server_cpu_s_per_million'] or 0:.1f} s/M"
        if result["written_per_byte"] is not None:
            text += f"  written {result['written_per_byte']:.2f} per byte"
    if result["unanswered"]:
        text += f"  {result['unanswered']} unanswered"
    if result["last_error"]:
        text += f"  (last error: {result['last_error']})"
    return text + ("  DISTURBED" if result["disturbed"] else "")
