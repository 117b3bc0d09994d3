"""What is generated in docs/BENCHMARKS.md: the figures, from the harness's result file, and who is compared."""
import collections
import json
import pathlib
import shutil
import sys

from compare import figures, goals
from compare.svg import bars
from compare.variants import VARIANTS
from compare.workloads import WORKLOADS

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = REPOSITORY / "docs" / "BENCHMARKS.md"
FOLDER = REPOSITORY / "docs" / "benchmarks"
PUBLISHED = FOLDER / "compare.jsonl"
CHART = FOLDER / "compare.svg"
GOALS = FOLDER / "goals.jsonl"
KEYS = ("events_per_s", "p50_ms", "p99_ms", "p999_ms", "max_ms", "gap_ms", "server_cpu_s_per_million", "unanswered",
        "written_per_byte", "disk_written_per_byte", "flushes_per_s", "memory_mib", "client_cpu_s", "seconds", "rate",
        "lost", "duplicates", "acknowledged", "consumer_lag_events", "sync_4kib_us")


class Results:
    """The lines of result files, by what they are about."""

    def __init__(self, lines):
        # The first is that of most lines; the others', of what was measured anew later.
        self.machines = [line for line in lines if line["kind"] == "machine"]
        self.versions = {line["variant"]: line["version"] for line in lines if line["kind"] == "variant"}
        self.missing = {line["variant"]: line["reason"] for line in lines if line["kind"] == "not_installed"}
        self.failed = {line["variant"]: line["reason"] for line in lines if line["kind"] == "failed"}
        runs = collections.defaultdict(list)
        for line in lines:
            if line["kind"] == "run":
                runs[line["variant"], line["workload"]].append(line)
        self.runs = dict(runs)
        # What a fault did counts in full: one lost event in three runs is not none.
        self.medians = {key: {**figures.medians(group, KEYS), **worst_of(group), "runs": len(group),
                              "disturbed": sum(1 for run in group if run["disturbed"])}
                        for key, group in self.runs.items()}

    @staticmethod
    def read(paths):
        return Results([json.loads(line) for path in paths for line in path.read_text().splitlines()])

    def variants(self):
        return [name for name in VARIANTS if any(variant == name for variant, _ in self.runs)]

    def get(self, variant, workload, key):
        return self.medians.get((variant, workload), {}).get(key)


def worst_of(group):
    return {key: max(run[key] for run in group if key in run)
            for key in ("gap_ms", "max_ms", "lost", "duplicates", "unanswered") if any(key in run for run in group)}


def count(value):
    return "–" if value is None else f"{value:,.0f}"


def short(value):
    """Three digits, as measurements here are not better."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def latencies(results, variant, workload, keys):
    """"cannot" when the rate was not reached: the latencies are then those of a queue that only grows."""
    if results.get(variant, workload, "p50_ms") is None:
        return "–"
    text = " / ".join(short(results.get(variant, workload, key)) for key in keys)
    rate, reached = (results.get(variant, workload, key) for key in ("rate", "events_per_s"))
    return f"cannot ({count(reached)}/s)" if rate and reached < 0.95 * rate else text


def failover(results, variant):
    if results.get(variant, "failover", "gap_ms") is None:
        return "–"
    gap, slowest, lost, duplicates = (results.get(variant, "failover", key)
                                      for key in ("gap_ms", "max_ms", "lost", "duplicates"))
    return f"{count(gap)} / {count(slowest)} | {count(lost)} / {count(duplicates)}"


def row(results, name):
    rate_max = " / ".join(count(results.get(name, each, "events_per_s")) for each in ("max1k", "max200"))
    deep = " / ".join(count(results.get(name, each, "events_per_s")) for each in ("deep1k", "deep200"))
    cells = [VARIANTS[name].title, "yes" if VARIANTS[name].fsync else "no", rate_max]
    if has_deep(results):
        cells.append(deep)
    cells += [latencies(results, name, "rate1k", ("p50_ms", "p99_ms", "p999_ms")),
              latencies(results, name, "half1k", ("p50_ms", "p99_ms")),
              " / ".join(short(results.get(name, each, "server_cpu_s_per_million")) for each in ("max1k", "rate1k")),
              short(results.get(name, "max1k", "written_per_byte")), failover(results, name)]
    return "| " + " | ".join(cells) + (" | – |" if cells[-1] == "–" else " |")


def has_deep(results):
    return any(workload.startswith("deep") for _, workload in results.runs)


def table(results):
    heads = ["", "fsync before ack", "events/s, 1 KiB / 200 B"]
    if has_deep(results):
        heads.append("the same, 8 × 2,048 in flight")
    heads += ["ms at 2,000/s: p50 / p99 / p99.9", "ms at half of max: p50 / p99",
              "server CPU s per million, at max / at 2,000/s", "bytes written on all nodes per payload byte",
              "leader killed: longest gap / slowest event, ms", "lost / twice"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + [row(results, name) for name in results.variants()])


def without(lines, again):
    """What stays of a result file's lines when those for which again(line) holds are measured anew. Where nothing is left
    of what a machine line stands before, it goes too."""
    sections = [[]]
    for line in lines:
        if line["kind"] == "machine":
            sections.append([line])
        elif not again(line):
            sections[-1].append(line)
    return [line for section in sections if any(line["kind"] != "machine" for line in section) for line in section]


def added_text(machines):
    return "".join(f" Measured again: `{each['command']}`, {each['date']}"
                   + (f", commit {each['commit']}." if "commit" in each else ".") for each in machines)


def machine_text(results):
    of = results.machines[0]
    runs = sorted({each["runs"] for each in results.medians.values()})
    spans = sorted({each["seconds"] for each in results.medians.values()})
    disturbed = sum(each["disturbed"] for each in results.medians.values())
    text = (f"Measured on {of['date']}, commit {of['commit']}: {of['processor']}, {of['cores']} cores, "
            f"{of['memory_gib']} GiB, {of['system']}, kernel {of['kernel']}, {of['file_system']}, a 4 KiB fdatasync "
            f"{of['sync_4kib_us'] / 1000:.2f} ms (median). Command: `{of['command']}`. Medians of "
            f"{' to '.join(map(str, runs))} run(s), {' or '.join(f'{each:g}' for each in spans)} s each; gap, lost and "
            "twice are the worst of all runs.")
    text += added_text(results.machines[1:])
    if disturbed:
        text += f" In {disturbed} run(s) other processes used more of the machine than the harness tolerates."
    return text


def absent_text(results):
    lines = [f"- {VARIANTS[name].title}: not installed here ({reason})" for name, reason in results.missing.items()]
    lines += [f"- {VARIANTS[name].title}: a run failed ({reason})" for name, reason in results.failed.items()]
    return "\n".join(lines)


def versions_text(results):
    return "Versions: " + "; ".join(dict.fromkeys(results.versions[name] for name in results.variants()
                                                  if name in results.versions)) + "."


def figures_text(results):
    if not results.runs:
        return "\n\n".join(filter(None, ["No results.", absent_text(results)]))
    parts = [machine_text(results), versions_text(results), table(results), absent_text(results)]
    return "\n\n".join(part for part in parts if part)


def chart(results):
    """Two panels: how many events, and how late."""
    def rows(workload, key):
        for name in results.variants():
            value = results.get(name, workload, key)
            if value is None:
                continue
            rate, reached = (results.get(name, workload, each) for each in ("rate", "events_per_s"))
            cannot = bool(rate) and reached < 0.95 * rate
            # Its latency would only say how long the run was.
            yield VARIANTS[name].title, 0 if cannot else value, VARIANTS[name].fsync, "cannot" if cannot else short(value)

    return bars([(f"Events a second: {WORKLOADS['max1k'].what}", list(rows("max1k", "events_per_s"))),
                 ("p99 in ms, from when an event was due, at 2,000 events/s", list(rows("rate1k", "p99_ms")))])


def block():
    """What stands between the markers."""
    if not PUBLISHED.exists():
        return "No results yet: `scripts/bench compare` on a quiet machine writes them here."
    results = Results.read([PUBLISHED])
    return (f"{figures_text(results)}\n\n![Events a second, and 99th percentile of latency, by peer]"
            f"(benchmarks/{CHART.name})\n\nEvery run: [benchmarks/{PUBLISHED.name}](benchmarks/{PUBLISHED.name}).")


def goals_block():
    lines = [json.loads(line) for line in GOALS.read_text().splitlines()] if GOALS.exists() else []
    measured = goals.Measured(Results.read([file for file in (PUBLISHED, GOALS) if file.exists()]), lines)
    machines = [line for line in lines if line["kind"] == "machine"]
    where = (f"What the table above does not show is of `{machines[0]['command']}`, {machines[0]['date']}, a 4 KiB "
             f"fdatasync {machines[0]['sync_4kib_us'] / 1000:.2f} ms: [benchmarks/{GOALS.name}](benchmarks/{GOALS.name})."
             + added_text(machines[1:]) if machines else "")
    parts = [goals.table(measured), where, goals.profiles_text(lines)]
    return "\n\n".join(part for part in parts if part)


def guarantees():
    lines = ["| peer | an acknowledgement means | not guaranteed |", "|---|---|---|"]
    return "\n".join(lines + [f"| {each.title} | {each.acknowledged} | {each.not_guaranteed} |"
                              for each in VARIANTS.values()])


def generated(text):
    """The document with what stands between its markers made anew."""
    for name, make in (("figures", block), ("goals", goals_block), ("peers", guarantees)):
        begin = f"<!-- {name}: begin; generated by `scripts/bench report`, do not edit -->"
        end = f"<!-- {name}: end -->"
        before, rest = text.split(begin)
        text = f"{before}{begin}\n\n{make()}\n\n{end}{rest.split(end)[1]}"
    return text


def write():
    DOCUMENT.write_text(generated(DOCUMENT.read_text()))
    if PUBLISHED.exists():
        CHART.write_text(chart(Results.read([PUBLISHED])))
    return 0


def publish(results_file):
    FOLDER.mkdir(exist_ok=True)
    shutil.copyfile(results_file, PUBLISHED)
    return write()


def add(results_file):
    """In place of what is published of the same peers."""
    new = [json.loads(line) for line in results_file.read_text().splitlines()]
    anew = {line["variant"] for line in new if "variant" in line}
    kept = without([json.loads(line) for line in PUBLISHED.read_text().splitlines()],
                   lambda line: line["variant"] in anew)
    PUBLISHED.write_text("".join(json.dumps(line) + "\n" for line in kept + new))
    return write()


def check():
    """The figures are those of the result file."""
    problems = []
    if DOCUMENT.read_text() != generated(DOCUMENT.read_text()):
        problems.append("docs/BENCHMARKS.md: its figures are not those of its result file: scripts/bench report")
    if PUBLISHED.exists() and (not CHART.exists() or CHART.read_text() != chart(Results.read([PUBLISHED]))):
        problems.append("docs/benchmarks/compare.svg is not of its result file: scripts/bench report")
    print("\n".join(problems), end="\n" if problems else "", file=sys.stderr)
    return 1 if problems else 0
