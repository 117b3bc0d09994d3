"""The command line; scripts/bench calls it."""
import argparse
import json
import pathlib
import signal
import subprocess
import sys
import time

from compare import builds, goals, report, run
from compare.peer import say
from compare.variants import VARIANTS
from compare.workloads import DEFAULT, WORKLOADS

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "results" / "compare"
EXAMPLES = """examples:
  scripts/bench compare                          everything, about 25 minutes; writes docs/BENCHMARKS.md
  scripts/bench compare --repeats 3              medians of three
  scripts/bench compare --peers forebay,redis-always --workloads max1k,rate1k --quick
  scripts/bench compare --peers etcd --add       its rows in docs/BENCHMARKS.md anew; the others stay
  scripts/bench compare --peers kafka-zstd       (KAFKA_HOME: instead of what Maven fetches)
  scripts/bench goals                            what compare does not show; writes docs/BENCHMARKS.md
  scripts/bench goals --only idle,profiles       a part of that anew; the other figures stay
  scripts/bench report                           docs/BENCHMARKS.md again from its result file
  scripts/bench report results/compare/*.jsonl   the table of other result files, to standard output
  scripts/bench check ../before/build/release build/release    two builds, interleaved

peers: {peers}
workloads:
{workloads}
"""


def names(known):
    def read(text):
        chosen = text.split(",")
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"no such name: {name} (one of {', '.join(known)})")
        return chosen
    return read


def parser():
    examples = EXAMPLES.format(peers=", ".join(VARIANTS), workloads="\n".join(
        f"  {each.name:9} {each.what}" for each in WORKLOADS.values()))
    out = argparse.ArgumentParser(prog="scripts/bench", epilog=examples,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = out.add_subparsers(dest="command_name", required=True)
    compare = commands.add_parser("compare", help="Forebay and its peers, side by side", epilog=examples,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    compare.add_argument("--peers", type=names(VARIANTS), default=list(VARIANTS))
    compare.add_argument("--workloads", type=names(WORKLOADS), default=list(DEFAULT))
    compare.add_argument("--repeats", type=int, default=1)
    compare.add_argument("--seconds", type=float, help="measured time of a workload (10; --quick: 2)")
    compare.add_argument("--warm-up", type=float, help="not measured (2; --quick: 1)")
    compare.add_argument("--tries", type=int, help="of a run that other processes disturb (3; --quick: 1)")
    compare.add_argument("--quick", action="store_true", help="short runs, to see that all works; never published")
    compare.add_argument("--add", action="store_true", help="publish, in place of what was published of these peers")
    compare.add_argument("--no-publish", action="store_true", help="leave docs/BENCHMARKS.md as it is")
    compare.add_argument("--out", type=pathlib.Path, help="JSON lines (default: results/compare/TIME.jsonl)")
    compare.add_argument("--folder", help="where the nodes keep their data (default: the temporary folder)")
    compare.add_argument("--keep", action="store_true", help="do not remove the nodes' folders")
    compare.add_argument("--build", default=REPOSITORY / "build" / "release", help=argparse.SUPPRESS)
    compare.add_argument("--forebay", help="another forebay program for the nodes")
    compare.add_argument("--no-setup", action="store_true", help="install and build nothing")
    aims = commands.add_parser("goals", help="failover, backlog, many partitions, profiles")
    aims.add_argument("--build", type=pathlib.Path, default=REPOSITORY / "build" / "release", help=argparse.SUPPRESS)
    aims.add_argument("--only", type=names(goals.PARTS), default=list(goals.PARTS), help=", ".join(goals.PARTS))
    aims.add_argument("--out", type=pathlib.Path, help="JSON lines (default: docs/benchmarks/goals.jsonl)")
    again = commands.add_parser("report", help="the table of result files")
    again.add_argument("files", nargs="*", type=pathlib.Path)
    again.add_argument("--check", action="store_true", help="fail if docs/BENCHMARKS.md is not what its file gives")
    check = commands.add_parser("check", help="two builds in one interleaved run")
    check.add_argument("build_a", type=pathlib.Path, metavar="BUILD_A")
    check.add_argument("build_b", type=pathlib.Path, metavar="BUILD_B")
    check.add_argument("--rounds", type=int, default=5, help="of A and then B")
    check.add_argument("--seconds", type=float, default=5, help="of each phase of `forebay bench`")
    check.add_argument("--micro-seconds", type=float, default=0.2, help="of each micro benchmark, at least")
    check.add_argument("--filter", default=".", help="of micro benchmarks, a regular expression")
    check.add_argument("--only", choices=("micro", "system"))
    return out


def prepare(asked):
    """Installs the peers, one by one: one that cannot be had is left out. Then builds."""
    for group in sorted({VARIANTS[name].peer.setup for name in asked.peers} - {""}):
        done = subprocess.run([REPOSITORY / "scripts" / "setup", group], stdin=subprocess.DEVNULL, check=False,
                              stdout=subprocess.DEVNULL)
        if done.returncode:
            say(f"{group} could not be installed")
    for command in (["cmake", "-B", asked.build, "-D", "FOREBAY_COMPARE=ON"],
                    ["cmake", "--build", asked.build, "--target", "forebay_command", "compare_publishers"]):
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stdout[-3000:] + done.stderr[-3000:])


def compare(asked):
    publishable = set(asked.workloads) >= set(DEFAULT) and not asked.quick and not asked.no_publish
    if asked.add and not publishable:
        sys.exit(f"scripts/bench compare: --add publishes what it measures: it takes at least the workloads "
                 f"{','.join(DEFAULT)}, and neither --quick nor --no-publish")
    asked.seconds = asked.seconds or (2 if asked.quick else 10)
    asked.warm_up = asked.warm_up or (1 if asked.quick else 2)
    asked.tries = asked.tries or (1 if asked.quick else 3)
    asked.command = " ".join(["scripts/bench", *sys.argv[1:]])
    if not asked.no_setup:
        prepare(asked)
    # So that what was started is ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    out = asked.out or RESULTS / time.strftime("%Y%m%d-%H%M%S.jsonl")
    out.parent.mkdir(parents=True, exist_ok=True)
    with open(out, "w", encoding="utf-8") as file:
        run.Runner(asked, file).run_all(asked.peers)
    results = report.Results.read([out])
    print(report.figures_text(results))
    out.with_suffix(".svg").write_text(report.chart(results))
    say(f"results: {out}")
    if publishable and (asked.add or set(asked.peers) == set(VARIANTS)):
        report.add(out) if asked.add else report.publish(out)
        say("docs/BENCHMARKS.md has them")
    return 0


def measure_goals(asked):
    asked.command = " ".join(["scripts/bench", *sys.argv[1:]])
    asked.peers = goals.DEEP.variants
    prepare(asked)
    out = asked.out or report.GOALS
    out.parent.mkdir(parents=True, exist_ok=True)
    before = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    kept = report.without(before, lambda line: goals.part_of(line) in asked.only)
    with open(out, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in kept)
        goals.measure(asked, file)
    return report.write()


def main():
    asked = parser().parse_args()
    if asked.command_name == "goals":
        return measure_goals(asked)
    if asked.command_name == "compare":
        return compare(asked)
    if asked.command_name == "check":
        return builds.check(asked)
    if asked.files:
        print(report.figures_text(report.Results.read(asked.files)))
        return 0
    return report.check() if asked.check else report.write()


if __name__ == "__main__":
    sys.exit(main())
