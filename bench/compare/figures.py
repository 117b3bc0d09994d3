"""The arithmetic of measurements: medians, rates per event and byte, ratios with their spread."""
import dataclasses
import statistics

# Of the machine's cores: above it somebody else was working, and the run is repeated.
FOREIGN_SHARE_MAX = 0.06


def median(values):
    """The median of those that are there; None without any."""
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None


def per(amount, of):
    return amount / of if of else None


def server_figures(before, after, events, event_bytes):
    """What the peer's processes used between two samples, per event and per byte of payload."""
    seconds = after.at - before.at
    payload = events * event_bytes
    cpu = per(after.cpu_s - before.cpu_s, events)
    return {
        "server_cpu_s": round(after.cpu_s - before.cpu_s, 3),
        "server_cpu_s_per_million": None if cpu is None else round(cpu * 1e6, 2),
        "written_per_byte": per(after.written_bytes - before.written_bytes, payload),
        "disk_written_per_byte": per(after.disk_bytes - before.disk_bytes, payload),
        "flushes_per_s": per(after.disk_flushes - before.disk_flushes, seconds),
        "memory_mib": round(after.memory_mib, 1),
    }


def foreign_cpu_s(before, after, client_user_s):
    """User time of the machine that was neither the peer's nor the publishers'."""
    return (after.machine_user_s - before.machine_user_s) - (after.user_s - before.user_s) - client_user_s


def disturbed(foreign_s, seconds, cores):
    return foreign_s > FOREIGN_SHARE_MAX * seconds * cores


def medians(runs, keys):
    """{key: median over the runs}."""
    return {key: median([run.get(key) for run in runs]) for key in keys}


# With fewer, all rounds agree too often by chance: of five, 1 in 16 times for a figure that did not change.
ROUNDS_MIN = 5


@dataclasses.dataclass(frozen=True)
class Ratio:
    """B / A over rounds of A and then B: the median, the lowest and the highest."""
    middle: float
    low: float
    high: float
    noise: float  # how far A was from A a round later, as median: 0.03 is 3 %
    rounds: int

    @staticmethod
    def of(pairs):
        pairs = [(a, b) for a, b in pairs if a and b is not None]
        if not pairs:
            return None
        ratios = sorted(b / a for a, b in pairs)
        steps = [abs(after / before - 1) for (before, _), (after, _) in zip(pairs, pairs[1:])]
        return Ratio(statistics.median(ratios), ratios[0], ratios[-1], median(steps) or 0, len(pairs))

    def verdict(self):
        """A difference only when all rounds agree and it is larger than what A does to itself."""
        if self.rounds < ROUNDS_MIN:
            return "too few rounds"
        if abs(self.middle - 1) <= self.noise or self.low <= 1 <= self.high:
            return "no difference seen"
        return "B higher" if self.low > 1 else "B lower"
