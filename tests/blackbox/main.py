"""Runs a cluster, clients and faults for a time, then judges. README.md says how to read the result."""
import argparse
import collections
import json
import pathlib
import random
import shutil
import sys
import tempfile
import time

import calls
import clients
import cluster
import faults
import history
import judge
import judge_tails
import judge_time
import sinks
import stubs
import tails

CLEAN, VIOLATION, COULD_NOT_RUN = 0, 1, 2


def arguments(argv):
    parser = argparse.ArgumentParser(prog="tests/blackbox/run", description=__doc__)
    parser.add_argument("--binary", help="the program `forebay` under test")
    parser.add_argument("--judge", metavar="FOLDER", type=pathlib.Path, help="judge what a run has left in FOLDER")
    parser.add_argument("--seconds", type=float, default=30, help="how long clients run (30)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nodes", type=int, default=3, help="in three zones in turn (3)")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--metadata", choices=("sqlite", "etcd"), default="sqlite")
    parser.add_argument("--sink", action="append", choices=("sqlite", "files", "postgres"))
    parser.add_argument("--postgres", metavar="URL", help="of an empty database, for --sink postgres")
    parser.add_argument("--codec", default="none", choices=("none", "lz4", "zstd"), help="of the streams (none)")
    parser.add_argument("--keep", default="20s", help="keep_after_delivery of the sinks (20s)")
    parser.add_argument("--files-wait", type=float, default=1, help="batch_wait_max of files sinks, in seconds (1)")
    parser.add_argument("--segment-age", default="10s", help="segment.age_max (10s)")
    parser.add_argument("--pause", type=float, default=0.01, help="mean seconds between a producer's events (0.01)")
    parser.add_argument("--clients", default="serial=4,blocks=2,resend=2,misuse=1,anonymous=1",
                        help="how many of each kind")
    parser.add_argument("--faults", default="", help=f"of these, separated by commas: {', '.join(faults.ALL)}")
    parser.add_argument("--stop-max", type=float, default=5, help="how long a partition may take nothing (5)")
    parser.add_argument("--lag-max", type=float, default=10, help="how old an undelivered event may be (10)")
    parser.add_argument("--drain-max", type=float, default=30, help="time for the sinks at the end (30)")
    parser.add_argument("--lies", action="store_true", help="also blocks that lie, to a stream of their own")
    parser.add_argument("--keep-folder", type=pathlib.Path, help="where everything is left, instead of removed")
    settings = parser.parse_args(argv)
    settings.sink = settings.sink or ["sqlite"]
    if not settings.binary and not settings.judge:
        parser.error("--binary is needed")
    if "postgres" in settings.sink and not settings.postgres:
        parser.error("--sink postgres needs --postgres URL")
    try:
        settings.possible_faults = faults.possible(settings)
    except ValueError as error:
        parser.error(str(error))
    return settings


def start_clients(world, settings):
    made = []
    counts = dict(part.split("=") for part in settings.clients.split(",") if part)
    draw = random.Random(settings.seed)
    for kind, count in counts.items():
        for i in range(int(count)):
            name = f"{kind}{i}-{draw.randrange(1 << 24):06x}"
            partition = i % settings.partitions
            made.append({
                "serial": lambda: clients.SerialProducer(world, name, settings.seed, "web", partition),
                "blocks": lambda: clients.BlockProducer(world, name, settings.seed, "web", partition),
                "resend": lambda: clients.Resender(world, name, settings.seed),
                "misuse": lambda: clients.Misuser(world, name, settings.seed),
                "anonymous": lambda: clients.Anonymous(world, name, settings.seed, "web"),
            }[kind]())
    if settings.lies:
        made.append(clients.Liar(world, "liar", settings.seed, "lies"))
        made.append(clients.SerialProducer(world, "beside-lies", settings.seed, "lies", 0))
    made += [tails.Follower(world, f"follower{p}", settings.seed, "web", p) for p in range(settings.partitions)]
    made += [tails.Looker(world, "looker", settings.seed, "web", settings.partitions),
             faults.Watcher(world, settings.seed)]
    if settings.possible_faults:
        made.append(faults.Breaker(world, settings.seed, settings.possible_faults))
    for client in made:
        client.start()
    return made


def drive(settings, folder):
    """The run itself; leaves history.jsonl and sinks.json in the folder."""
    record = history.History(folder)
    running = cluster.Cluster(stubs.load(), settings, folder)
    caller = calls.Caller(running.stubs, running, record)
    world = clients.World(caller, settings)
    try:
        running.start()
        threads = start_clients(world, settings)
        time.sleep(settings.seconds)
        world.stopping.set()
        for thread in threads:
            thread.join(timeout=40)
        running.heal()
        running.await_serving(60)
        await_drained(running, record, settings.drain_max)
        reader = tails.Reader(caller)
        for stream, count in running.partitions.items():
            for partition in range(count):
                reader.last_look((stream, partition))
    finally:
        world.stopping.set()
        running.stop()
        record.close()
    if world.failures:
        raise RuntimeError("; ".join(world.failures))
    sinks.save(sinks.read_all(running.sinks), folder)


def await_drained(running, record, seconds):
    begin, lag = record.now(), None
    while record.now() < begin + seconds:
        lag = faults.watch(running, record)
        if lag == 0:
            break
        time.sleep(0.2)
    why = "some partition has no owner" if lag is None else f"some sink is {lag} events behind"
    record.add({"is": "drained", "ok": lag == 0, "seconds": seconds, "why": why,
                "waits": {sink: running.wait_of(sink) for sink in running.sinks}})


def verdict(records, read, settings):
    drained = next((r for r in records if r["is"] == "drained"), {"ok": False, "waits": {}})
    limits = {"stop_s": settings.stop_max, "lag_s": settings.lag_max, "waits": drained["waits"]}
    return (judge.judge(records, read, drained["ok"]) + judge_tails.judge_tails(records, read)
            + judge_time.judge_time(records, limits))


def report(found, folder, out=sys.stdout):
    by_code = collections.defaultdict(list)
    for violation in found:
        by_code[violation.code].append(violation)
    for code, violations in sorted(by_code.items()):
        print(f"VIOLATION {code}: {len(violations)}", file=out)
        for violation in violations[:3]:
            print(f"  {violation.text}", file=out)
            for entry in violation.records[:8]:
                print(f"    {json.dumps(entry)[:600]}", file=out)
    print(f"{len(found)} violations of {len(by_code)} kinds" if found else "clean", file=out)


def totals(records):
    attempts = [r for r in records if r["is"] == "attempt"]
    outcomes = collections.Counter(o for a in attempts for o in a["outcomes"])
    codes = collections.Counter(f"{a['by']}/{a['code']}{'*' if a['local'] else ''}" for a in attempts)
    broken = collections.Counter(r["kind"] for r in records if r["is"] == "fault")
    return (f"{len(attempts)} requests; faults: {dict(broken)}; events: {dict(outcomes)}; "
            f"codes (*: our own gRPC's): {dict(sorted(codes.items()))}")


def main(argv):
    settings = arguments(argv)
    folder = settings.judge or settings.keep_folder or pathlib.Path(tempfile.mkdtemp(prefix="forebay-blackbox-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    if not settings.judge:
        print(f"seed {settings.seed}, {settings.seconds:g} s, in {folder}", flush=True)
        try:
            drive(settings, folder)
        except (OSError, RuntimeError, stubs.Missing) as error:
            print(f"could not run: {error}", file=sys.stderr)
            return COULD_NOT_RUN
    records = history.load(folder).records
    found = verdict(records, sinks.load(folder), settings)
    print(totals(records))
    report(found, folder)
    if not found and not settings.keep_folder and not settings.judge:
        shutil.rmtree(folder)
    return VIOLATION if found else CLEAN
