"""Compares what producers were told with what stands in the sinks. README.md lists the rules.

Judged is from outside only, so every rule needs a proof: where several attempts may explain what is
there, nothing is said. `Facts.committed_by` is the sharpest of these proofs: offsets are committed in
order, so an event is committed at the latest when any later one of its partition is acknowledged.
"""
import bisect
import collections

import wire
from history import ACK, NOT, UNKNOWN

NEVER = float("inf")
# What a producer may be told that does as ingest.proto says.
EXPECTED_CODES = {"OK", "UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED", "CANCELLED"}
WAIT_AND_SEND_AGAIN = {"UNAVAILABLE", "RESOURCE_EXHAUSTED"}


class Violation:
    def __init__(self, code, text, records=()):
        self.code, self.text, self.records = code, text, list(records)


class Facts:
    """The history, by what the rules look for."""

    def __init__(self, records):
        self.attempts = [r for r in records if r["is"] == "attempt" and not r.get("extra")]
        self.by_tag = collections.defaultdict(list)  # tag -> [(attempt, index of the event in it)]
        self._begun = collections.defaultdict(dict)  # (stream, producer, partition) -> {epoch: when it began}
        self._acknowledged, self._all_known = {}, {}  # (lane, sequence) -> when; acknowledged_before
        told = collections.defaultdict(list)
        for attempt in self.attempts:
            for k, tag in enumerate(attempt["tags"]):
                self.by_tag[tag].append((attempt, k))
            if attempt["producer"]:
                self._note_lane(attempt)
            for place in filter(None, attempt["places"]):
                told[attempt["stream"], place[0]].append((place[1], attempt["t1"]))
        self._committed = {of: earliest_from(pairs) for of, pairs in told.items()}

    def _note_lane(self, attempt):
        *of, epoch = lane_of(attempt)
        begun = self._begun[tuple(of)]
        begun[epoch] = min(begun.get(epoch, NEVER), attempt["t0"])
        for k, outcome in enumerate(attempt["outcomes"]):
            if outcome == ACK:
                key = (lane_of(attempt), attempt["seq"] + k)
                self._acknowledged[key] = min(self._acknowledged.get(key, NEVER), attempt["t1"])

    def committed_by(self, stream, partition, offset):
        """A time at which this offset was surely committed, if it ever was."""
        offsets, times = self._committed.get((stream, partition), ((), ()))
        at = bisect.bisect_left(offsets, offset)
        return times[at] if at < len(offsets) else NEVER

    def acknowledged_before(self, attempt):
        """Whether all earlier sequences of its producer were acknowledged before it was sent."""
        lane = lane_of(attempt)
        known = self._all_known.setdefault(lane, [0.0])  # [n]: when all below n were acknowledged
        while len(known) <= attempt["seq"]:
            known.append(max(known[-1], self._acknowledged.get((lane, len(known) - 1), NEVER)))
        return known[attempt["seq"]] <= attempt["t0"]

    def higher_epoch_before_end(self, attempt):
        stream, producer, partition, epoch = lane_of(attempt)
        return any(other > epoch and self._begun[stream, producer, partition][other] <= attempt["t1"]
                   for other in self._begun[stream, producer, partition])


def lane_of(attempt):
    return attempt["stream"], attempt["producer"], attempt["partition"], attempt["epoch"]


def earliest_from(pairs):
    """(sorted offsets, for each the earliest time at which it or a later one was acknowledged)."""
    pairs = sorted(pairs)
    times, earliest = [], NEVER
    for _, time in reversed(pairs):
        earliest = min(earliest, time)
        times.append(earliest)
    return [offset for offset, _ in pairs], times[::-1]


def judge(records, sinks, drained=True):
    """All violations of what producers were told and what sinks hold. `drained`: the nodes said that
    nothing is left to deliver."""
    facts = Facts(records)
    found = []
    for attempt in facts.attempts:
        found += answer_is_complete(attempt)
        found += good_producer_is_served(facts, attempt)
    found += lies_are_refused(facts)
    for name, sink in sinks.items():
        found += [Violation("sink-broken", f"{name}: {problem}") for problem in sink["problems"]]
        stored = Stored(name, sink)
        found += stored.violations
        found += rows_are_known(facts, stored)
        found += acknowledged_is_stored(facts, stored, drained)
        found += not_stored_is_absent(facts, stored)
        found += sequences_are_in_order(facts, stored)
    return found


class Stored:
    """One sink: which tag stands where."""

    def __init__(self, name, sink):
        self.name, self.stream = name, sink["stream"]
        self.at = {}    # (partition, offset) -> tag
        self.places = collections.defaultdict(list)  # tag -> [(partition, offset)]
        self.slots = set()
        self.end = {}   # partition -> offset after the last row
        self.differs = []
        self.violations = []
        for partition, rows in sink["partitions"].items():
            expected = 0
            for offset, tag, same in rows:
                if offset != expected:
                    code = "offset-gap" if offset > expected else "offset-twice"
                    self.violations.append(Violation(
                        code, f"{name}: partition {partition} has offset {offset} where {expected} should be"))
                expected = offset + 1
                self.at[partition, offset] = tag
                self.places[tag].append((partition, offset))
                self.slots.add(wire.slot_of(tag))
                if not same:
                    self.differs.append((partition, offset, tag))
            self.end[partition] = expected


def of_tag(facts, *tags):
    return [attempt for tag in tags for attempt, _ in facts.by_tag.get(tag, ())]


def rows_are_known(facts, stored):
    found = []
    for partition, offset, tag in stored.differs:
        if tag in facts.by_tag:
            found.append(Violation("content-differs", f"{stored.name}: {tag} at {partition}/{offset} is not as it "
                                   "was sent", of_tag(facts, tag)))
    slots = collections.defaultdict(list)
    for tag, places in stored.places.items():
        slots[wire.slot_of(tag)].append(tag)
        if tag not in facts.by_tag:
            found.append(Violation("stored-but-never-sent", f"{stored.name}: {tag} at {places[0]}"))
        if len(places) > 1:
            found.append(Violation("stored-twice", f"{stored.name}: {tag} at {places}", of_tag(facts, tag)))
    for slot, tags in slots.items():
        if len(tags) > 1:
            found.append(Violation("sequence-stored-twice", f"{stored.name}: {slot} as {tags}",
                                   of_tag(facts, *tags)))
    return found


def acknowledged_is_stored(facts, stored, drained):
    """Acknowledged: there, at the offset told, with the same content."""
    found = []
    for attempt in facts.attempts:
        if attempt["stream"] != stored.stream:
            continue
        for tag, outcome, place in zip(attempt["tags"], attempt["outcomes"], attempt["places"]):
            problem = outcome == ACK and acknowledged_problem(stored, tag, place, attempt["partition"], drained)
            if problem and place is None and wire.slot_of(tag) in stored.slots:
                continue  # other content for a sequence that is forgotten: README.md, what is not judged
            if problem:
                there = stored.at.get(tuple(place)) if place else None
                found.append(Violation(problem[0], f"{stored.name}: {tag} was acknowledged at {place}; {problem[1]}",
                                       of_tag(facts, tag) + (of_tag(facts, there) if there else [])))
    return found


def acknowledged_problem(stored, tag, place, partition, drained):
    """(code, text), or None. What a sink has not reached yet is for the rules of time, unless it is said to
    have everything."""
    places = stored.places.get(tag, ())
    if place is None:  # stored, and the offset is no longer known
        return None if places or not drained else ("acknowledged-but-lost", f"nowhere in partition {partition}")
    place = tuple(place)
    if place in places:
        return None
    if place[1] >= stored.end.get(place[0], 0):
        return ("acknowledged-not-delivered", "the sink is said to have everything") if drained else None
    if places:
        return "acknowledged-at-another-offset", f"it is at {places}"
    there = stored.at.get(place)
    if there and wire.slot_of(there) == wire.slot_of(tag):
        return "acknowledged-other-content", f"the sequence holds {there} there"
    return "acknowledged-but-lost", f"{there} is there"


def not_stored_is_absent(facts, stored):
    """Told NOT_STORED, and there: only if another attempt can have stored it, and it was not there already."""
    found = []
    for tag, places in stored.places.items():
        committed = facts.committed_by(stored.stream, *places[0])
        attempts = facts.by_tag.get(tag, ())
        refused = [a for a, k in attempts if a["outcomes"][k] == NOT]
        if not refused:
            continue
        explained = any(a["outcomes"][k] in (ACK, UNKNOWN) and a["t0"] < committed for a, k in attempts)
        if not explained:
            found.append(Violation("told-not-stored-but-stored", f"{stored.name}: {tag} is at {places[0]}, and every "
                                   "attempt that can have stored it was told NOT_STORED", of_tag(facts, tag)))
            continue
        for attempt in refused:
            # "Wait and send again" speaks of this attempt only: it may not even own the partition.
            if attempt["t0"] > committed and attempt["code"] not in WAIT_AND_SEND_AGAIN:
                found.append(Violation(
                    "told-not-stored-of-what-was-stored", f"{stored.name}: {tag} is at {places[0]}, committed by "
                    f"{committed:.3f} s; sent again at {attempt['t0']:.3f} s it was told NOT_STORED",
                    of_tag(facts, tag)))
                break
    return found


def sequences_are_in_order(facts, stored):
    found = []
    last = {}
    for (partition, offset), tag in sorted(stored.at.items()):
        parts = wire.split(tag)
        if not parts or tag not in facts.by_tag or not facts.by_tag[tag][0][0]["producer"]:
            continue
        producer, epoch, _, sequence, _ = parts
        before_epoch, before = last.get((producer, partition), (0, -1))
        where = f"{stored.name}: {tag} at {partition}/{offset} comes after {before_epoch}~{before}"
        if epoch < before_epoch:
            found.append(Violation("older-epoch-after-newer", where, of_tag(facts, tag)))
            continue
        if epoch > before_epoch:
            before = -1
        if sequence <= before:
            found.append(Violation("out-of-order", where, of_tag(facts, tag)))
        elif sequence > before + 1:
            found.append(Violation("gap-in-sequence", where, of_tag(facts, tag)))
        last[producer, partition] = (epoch, sequence)
    return found


def answer_is_complete(attempt):
    """Every failed answer of a node has the promised details, and says something."""
    code, what = attempt["code"], f"{attempt['via']} at {attempt['node']}: {attempt['code']} {attempt['message']!r}"
    found = []
    if len(attempt["outcomes"]) != len(attempt["tags"]) or "none" in attempt["outcomes"]:
        found.append(Violation("outcome-missing", what, [attempt]))
    if attempt["local"]:
        return found
    if (code == "OK") != (set(attempt["outcomes"]) == {ACK}):
        found.append(Violation("code-against-outcome", what, [attempt]))
    if code != "OK" and not attempt["message"]:
        found.append(Violation("message-empty", what, [attempt]))
    if attempt["via"] == "append" and code != "OK":
        if not attempt["details"]:
            found.append(Violation("details-missing", what, [attempt]))
        if code in WAIT_AND_SEND_AGAIN and attempt["retry"] is None:
            found.append(Violation("retry-info-missing", what, [attempt]))
    return found


def good_producer_is_served(facts, attempt):
    """A producer that behaves well is never told that it did something wrong. A gap after a block of its own
    that failed is no wrong, nor is a lower epoch."""
    if not attempt["good"] or attempt["code"] in EXPECTED_CODES:
        return []
    if attempt["code"] == "FAILED_PRECONDITION" and attempt["producer"]:
        if not facts.acknowledged_before(attempt) or facts.higher_epoch_before_end(attempt):
            return []
    return [Violation("good-producer-refused", f"{attempt['by']} at {attempt['node']}: {attempt['code']} "
                      f"{attempt['message']!r}", [attempt])]


def lies_are_refused(facts):
    return [Violation("lying-block-acknowledged", f"{attempt['lie']}: acknowledged at {attempt['places'][0]}",
                      [attempt])
            for attempt in facts.attempts if attempt.get("lie") and ACK in attempt["outcomes"]]
