"""Tails: no gap without a status, the next offset is true, and the same content as in the sinks."""
import wire
from judge import NEVER, Facts, Violation

EXPECTED_CODES = {"OK", "CANCELLED", "DEADLINE_EXCEEDED", "UNAVAILABLE", "FAILED_PRECONDITION", "OUT_OF_RANGE",
                  "RESOURCE_EXHAUSTED", "ABORTED"}


def judge_tails(records, sinks):
    there = {(sink["stream"], partition, row[0]): row[1] for sink in sinks.values()
             for partition, rows in sink["partitions"].items() for row in rows}
    facts, found = Facts(records), []
    for tail in (r for r in records if r["is"] == "tail"):
        problem = one_tail(tail)
        if problem:
            found.append(Violation(*problem, [short(tail)]))
        found += content(tail, there)
        if tail["code"] not in EXPECTED_CODES:
            found.append(Violation("tail-refused", f"{where(tail)}: {tail['code']} {tail['message']!r}", [short(tail)]))
        if tail["by"] == "last" and tail["code"] == "OK":
            found += reaches_the_end(tail, facts)
    return found


def where(tail):
    return f"{tail['stream']}/{tail['partition']} at {tail['node']} from {tail['from']}"


def short(tail):
    """For the report: its first and last messages, with offsets only."""
    messages = [[m[0], [row[0] for row in m[1][:3]], len(m[1])] for m in tail["messages"]]
    return {**tail, "messages": messages[:3] + ["..."] + messages[-3:] if len(messages) > 6 else messages}


def one_tail(tail):
    """(code, text) of the first thing that is wrong in one call, or None."""
    expected = tail["from"] if isinstance(tail["from"], int) else None
    for next_offset, rows in tail["messages"]:
        for row in rows:
            if expected is not None and row[0] != expected:
                return "tail-gap", f"{where(tail)}: offset {row[0]} came where {expected} was next"
            expected = row[0] + 1
        if expected is not None and next_offset != expected:
            return "tail-next-offset", f"{where(tail)}: told next offset {next_offset}, and it is {expected}"
        expected = next_offset
    return None


def content(tail, there):
    found = []
    for _, rows in tail["messages"]:
        for offset, tag, same in rows:
            stored = there.get((tail["stream"], tail["partition"], offset), tag)
            if stored != tag:
                found.append(Violation("tail-differs", f"{where(tail)}: offset {offset} is {tag}, in the sink {stored}",
                                       [short(tail)]))
            elif not same and wire.split(tag):
                found.append(Violation("content-differs", f"{where(tail)}: {tag} at {offset} is not as it was sent"))
    return found


def reaches_the_end(tail, facts):
    """The last look, at rest, shows everything that was ever acknowledged."""
    next_offset = tail["messages"][-1][0] if tail["messages"] else 0
    if facts.committed_by(tail["stream"], tail["partition"], next_offset) == NEVER:
        return []
    return [Violation("tail-incomplete", f"{where(tail)} ends at {next_offset}, though more was acknowledged",
                      [short(tail)])]
