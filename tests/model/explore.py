#!/usr/bin/env python3
"""Explores the model of the protocol, whole and with guards taken out, and expects what is known.

explore.py MODEL [--all] [--traces]     MODEL: the program forebay_model

Without --all: a small system, and a few guards, within seconds (ctest protocol_model_test). With it:
every scope and guard of docs/design/model.md, in minutes and with several GiB of memory.
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
HOLDS, BREAKS, STUCK = 0, 1, 2
ONE = "--blocks=1 --epochs=3 --crashes=0 "
CALM = "--epochs=2 --losses=0 --crashes=0 "
SMALL = "--blocks=1 --epochs=2 "
DRAFT = "--without-tight-end --without-anywhere --without-never-under "  # takeover as first drafted

# (what, options, expected)
SHORT = [
    ("one block, one takeover or roll, crash and loss", SMALL, HOLDS),
    ("liveness, disk wiped", SMALL + "--no-kill --no-drain --liveness", HOLDS),
    ("liveness, two-replica segments", SMALL + "--no-wipe --no-drain --two-replicas --liveness",
     HOLDS),
    ("without fence-order", CALM + "--no-drain --without-fence-order", BREAKS),
    ("without limbo-unknown", "--epochs=2 --no-drain --without-limbo-unknown", BREAKS),
    ("without cas-first", CALM + "--without-cas-first", BREAKS),
    ("without deliver-committed", CALM + "--without-deliver-committed", BREAKS),
    ("sealing on any answer", CALM + "--seal-by-any-answer", BREAKS),
]
SCOPES = [
    ("two blocks, one takeover or roll, crash and loss", "--epochs=2 --no-drain", HOLDS),
    ("the same with the sink, crash only", "--epochs=2 --losses=0", HOLDS),
    ("swap sent and applied apart", ONE + "--losses=0 --crashes=1 --split", HOLDS),
    ("liveness, zone lost", ONE + "--no-wipe --liveness", HOLDS),
    ("liveness, disk wiped", ONE + "--no-kill --no-drain --liveness", HOLDS),
    ("liveness, two-replica segments", ONE + "--no-wipe --no-drain --two-replicas --liveness", HOLDS),
    ("degraded acknowledgements", ONE + "--degraded --losses=0 --no-drain", HOLDS),
    ("takeover as first drafted: liveness, zone lost",
     ONE + DRAFT + "--without-readable-end --no-wipe --liveness", STUCK),
]
# (guard, options, expected)
GUARDS = [
    ("fence-durable", "--epochs=2 --losses=0", BREAKS),
    ("fence-order", CALM + "--no-drain", BREAKS),
    ("fence-check", CALM, BREAKS),
    ("fenced-silent", CALM + "--no-drain", BREAKS),
    ("contiguous", CALM, BREAKS),
    ("limbo-unknown", "--epochs=2 --no-drain", BREAKS),
    ("limbo-refuses", "--epochs=2 --no-drain", BREAKS),
    ("repair-fences", DRAFT + "--epochs=2 --no-drain", BREAKS),
    ("cas-first", CALM, BREAKS),
    ("copy-first", "--epochs=2", BREAKS),
    ("roll-freezes", CALM, BREAKS),
    ("roll-settles", CALM, BREAKS),
    ("no-resume", "--epochs=2 --losses=0", BREAKS),
    ("by-epoch", CALM, BREAKS),
    ("ack-epoch", CALM, BREAKS),
    ("deliver-committed", CALM, BREAKS),
    ("repeat-waits", CALM, BREAKS),
    ("dedup-rebuild", CALM, BREAKS),
    ("dedup-cut", "--epochs=3 --losses=0 --crashes=0 --no-drain --no-roll", BREAKS),
    ("settle-own-segment", "--epochs=3 --losses=0 --crashes=0", BREAKS),
    ("under-holds-settle", DRAFT + "--epochs=2 --no-wipe", BREAKS),
    ("under-holds-delivery", DRAFT + ONE + "--no-wipe", HOLDS),
    ("sink-epoch", CALM, HOLDS),
    ("sink-offset", CALM, HOLDS),
    ("sink-epoch", CALM + "--without-sink-offset", BREAKS),
    ("fence-then-read", CALM + "--without-sink-offset", BREAKS),
    ("segment-rule", DRAFT + ONE + "--degraded --losses=0 --no-drain --without-readable-end", BREAKS),
]
OTHER_QUORUMS = [
    ("sealing on any answer", CALM + "--seal-by-any-answer", BREAKS),
    ("sealing on an ack quorum",
     ONE + "--no-wipe --no-drain --two-replicas --liveness --seal-by-ack-quorum", STUCK),
]


def jobs(model, everything):
    cases = SHORT
    if everything:
        cases = SCOPES + [(f"without {guard}", f"--without-{guard} {options}", expected)
                          for guard, options, expected in GUARDS] + OTHER_QUORUMS
    for what, options, expected in cases:
        yield what, [model, *options.split()], expected
    repair = [sys.executable, str(HERE / "repair.py")]
    yield "two repairs and a deletion", repair, HOLDS
    for guard in ("version", "copy", "wanted"):
        yield f"repair without {guard}", [*repair, guard], BREAKS


def run(job, traces):
    what, command, expected = job
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines() or [done.stderr.strip()]
    said = "; ".join(line for line in lines[:2] if not line.startswith("  "))
    verdict = "as expected" if done.returncode == expected else "UNEXPECTED"
    print(f"{verdict}: {what} [{' '.join(command[1:])}]\n    {said}", flush=True)
    if traces and done.returncode:
        print("\n".join(lines[1:]), flush=True)
    return done.returncode == expected


def main():
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    if len(words) != 1 or set(sys.argv[1:]) - set(words) - {"--all", "--traces"}:
        print(__doc__, file=sys.stderr)
        return 64
    work = list(jobs(os.path.abspath(words[0]), "--all" in sys.argv))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        good = list(pool.map(lambda job: run(job, "--traces" in sys.argv), work))
    print(f"{sum(good)} of {len(good)} as expected")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
