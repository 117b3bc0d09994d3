"""Two builds in one interleaved run: A B A B ..., and what B is in units of A."""
import json
import os
import subprocess
import sys
import tempfile
import time

from compare import figures, machine
from compare.peer import say

# Of `forebay bench --json`, for each phase: whether more is better.
SYSTEM_FIGURES = {"events_per_second": True, "p50_ms": False, "p99_ms": False, "p99_9_ms": False,
                  "node_cpu_seconds_per_million": False, "client_cpu_seconds_per_million": False,
                  "bytes_written_per_byte": False}


def micro(build, asked):
    """{benchmark: CPU time} of every benchmark program of a build."""
    out = {}
    for program in sorted((build / "bin").glob("*_bench")):
        done = subprocess.run([program, "--benchmark_format=json", f"--benchmark_min_time={asked.micro_seconds}",
                               f"--benchmark_filter={asked.filter}"], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL)
        # A filter that matches nothing leaves no JSON.
        found = json.loads(done.stdout)["benchmarks"] if done.stdout.startswith("{") else []
        for each in found:
            out[f"{program.name} {each['name']} cpu {each['time_unit']}"] = each["cpu_time"]
    return out


def system(build, asked):
    """{figure: value} of one `forebay bench`."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        done = subprocess.run([build / "bin" / "forebay", "bench", "--warm-up", "2s", "--time", f"{asked.seconds}s",
                               "--json", file.name], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL)
        if done.returncode:
            sys.exit(f"{build}: forebay bench: {done.stderr or done.stdout}")
        measurements = json.load(file)["measurements"]
    # A build before there were phases calls them loops.
    return {f"{each.get('phase') or each['loop']} {key}": each[key]
            for each in measurements for key in SYSTEM_FIGURES if key in each}


def higher_is_better(name):
    return SYSTEM_FIGURES.get(name.split(" ")[-1], False)


def judged(name, ratio):
    """In the reader's words."""
    verdict = ratio.verdict()
    if not verdict.startswith("B "):
        return verdict
    return "B better" if (verdict == "B higher") == higher_is_better(name) else "B worse"


def table(rounds):
    """Rows of (name, median of A, median of B, ratio, verdict) over the rounds of (A's figures, B's figures)."""
    names = [name for name in rounds[0][0] if all(name in a and name in b for a, b in rounds)]
    for name in names:
        pairs = [(a[name], b[name]) for a, b in rounds]
        ratio = figures.Ratio.of(pairs)
        if ratio:
            yield (name, figures.median([a for a, _ in pairs]), figures.median([b for _, b in pairs]), ratio,
                   judged(name, ratio))


def text_of(rows):
    rows = [(name, f"{a:.4g}", f"{b:.4g}", f"{ratio.middle:.3f}", f"{ratio.low:.3f} to {ratio.high:.3f}",
             f"±{ratio.noise:.1%}", verdict) for name, a, b, ratio, verdict in rows]
    rows.insert(0, ("figure", "A", "B", "B / A", "spread", "A / A", ""))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def check(asked):
    for build in (asked.build_a, asked.build_b):
        if not (build / "bin" / "forebay").exists():
            sys.exit(f"{build} has no bin/forebay: give two build folders, as build/release")
    measures = [each for each in (micro, system) if asked.only in (None, each.__name__)]
    for measure in measures:
        rounds = []
        before, begin = machine.take_sample([], ""), time.monotonic()
        for number in range(asked.rounds):
            say(f"{measure.__name__}: round {number + 1} of {asked.rounds}")
            rounds.append((measure(asked.build_a.resolve(), asked), measure(asked.build_b.resolve(), asked)))
        busy = machine.take_sample([], "").machine_user_s - before.machine_user_s
        print(f"{measure.__name__}, {asked.rounds} rounds of A B, {os.cpu_count()} cores, load average "
              f"{os.getloadavg()[0]:.1f}, user time {busy:.0f} s in {time.monotonic() - begin:.0f} s")
        rows = list(table(rounds))
        print((text_of(rows) if rows else "nothing that both builds have (`scripts/bench micro` builds the programs)") + "\n")
    print("spread: lowest and highest B / A of a round. A / A: how far A was from itself a round later (median). A\n"
          f"difference counts when all rounds agree, at least {figures.ROUNDS_MIN}, and it is larger than A / A. Of 30 figures that\n"
          "did not change, one may still look as if it had: run again what surprises.")
    return 0
