"""Liveness: partitions take events, sinks catch up, and the status says how it is."""
from judge import Violation
from history import ACK

# The drain waits for up to 10 s between two tries (docs/SINKS.md), and then needs some time.
AFTER_A_FAULT_S = 15.0


def judge_time(records, limits):
    """`limits`: stop_s, lag_s, and waits: sink -> its batch_wait_max in seconds."""
    faults = [r for r in records if r["is"] == "fault"]
    found = stopped(records, faults, limits["stop_s"])
    found += lags(records, faults, limits)
    for record in records:
        if record["is"] == "drained" and not record["ok"]:
            found.append(Violation("sink-behind", f"{record['seconds']:g} s after the last event, without a fault, "
                                   f"{record['why']}", [record]))
    return found


def stopped(records, faults, stop_s):
    """A partition that takes nothing for longer than stop_s although producers try. Only a partition whose
    owner died while nobody could write the metadata may wait, for the metadata."""
    attempts = {}
    for r in records:
        if r["is"] == "attempt" and r.get("good") and r["partition"] is not None and r["producer"]:
            attempts.setdefault((r["stream"], r["partition"]), []).append(r)
    found = []
    for of, tried in attempts.items():
        acknowledged = sorted(r["t1"] for r in tried if set(r["outcomes"]) == {ACK})
        before = min(r["t0"] for r in tried)
        for t in [*acknowledged, max(r["t1"] for r in tried)]:
            waiting = [r for r in tried if before <= r["t0"] and r["t1"] <= t and set(r["outcomes"]) != {ACK}] \
                if t - before > stop_s else []
            if len(waiting) >= 3 and not excused(faults, of, before, t, stop_s):
                active = [f"{f['kind']} of {f['node']} from {f['t0']:.1f} to {f['t1']:.1f} s" for f in faults
                          if f["t0"] < t and f["t1"] > before - stop_s]
                found.append(Violation("partition-stopped", f"{of[0]}/{of[1]}: nothing acknowledged from {before:.2f} "
                                       f"to {t:.2f} s, with {len(waiting)} attempts; faults: {active or 'none'}",
                                       waiting[:3] + waiting[-1:]))
            before = t
    return found


def excused(faults, of, begin, end, stop_s):
    return any(f["kind"] == "lock-metadata-kill" and list(of) in f["owned"] and f["t0"] < end
               and begin < f["t1"] + stop_s and end - f["t1"] < stop_s for f in faults)


def quiet(faults, t):
    """No fault is active, nor was one just before."""
    return not any(f["t0"] <= t <= f["t1"] + AFTER_A_FAULT_S for f in faults if f["kind"] != "move")


def lags(records, faults, limits):
    """Each sink once: the worst sample."""
    worst, idle = {}, {}
    for r in records:
        if r["is"] != "status" or not quiet(faults, r["t"]):
            continue
        of, wait = (r["sink"], r["partition"]), limits["waits"].get(r["sink"], 0)
        if r["oldest_ms"] > 1000 * (wait * 2 + limits["lag_s"]):
            worst[of] = max(worst.get(of, r), r, key=lambda s: s["oldest_ms"])
        if r["state"] == "idle" and r["oldest_ms"] > 1000 * (wait * 2 + 2):
            idle[of] = max(idle.get(of, r), r, key=lambda s: s["oldest_ms"])
    found = [Violation("sink-lags", told(r), [r]) for r in worst.values()]
    return found + [Violation("idle-while-lag", told(r), [r]) for r in idle.values()]


def told(r):
    return (f"{r['sink']} on partition {r['partition']} at {r['t']:.1f} s: {r['lag']} events behind, the oldest for "
            f"{r['oldest_ms'] / 1000:.1f} s, state {r['state']!r} {r['error']!r}, and no fault")
