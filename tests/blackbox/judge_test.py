"""The judge itself: of each rule a history that is good and one that is not."""
import sys
import pathlib
import unittest
from types import SimpleNamespace

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import judge  # noqa: E402 (the path comes first)
import judge_tails  # noqa: E402
import judge_time  # noqa: E402
import wire  # noqa: E402

TAG = "p~1~0~{}~0".format


def attempt(seq, outcome="ack", place=None, t=None, tag=None, **more):
    """One event of producer p, epoch 1, partition 0; by default acknowledged where its sequence says."""
    t0 = t if t is not None else float(seq)
    if outcome == "ack" and place is None:
        place = [0, seq]
    record = {"is": "attempt", "t0": t0, "t1": t0 + 0.1, "by": "serial", "via": "append", "node": "a1", "stream": "web",
              "partition": 0, "producer": "p", "epoch": 1, "seq": seq, "tags": [tag or TAG(seq)], "good": True,
              "code": {"ack": "OK", "not": "UNAVAILABLE", "unknown": "DEADLINE_EXCEEDED"}[outcome],
              "message": "" if outcome == "ack" else "why", "local": outcome == "unknown",
              "outcomes": [outcome], "places": [place if outcome == "ack" else None],
              "details": None if outcome == "ack" else True, "retry": 50 if outcome == "not" else None}
    return {**record, **more}


def sink(*tags, first=0, same=True, problems=()):
    rows = [[first + k, tag, same] for k, tag in enumerate(tags)]
    return {"db": {"stream": "web", "partitions": {0: rows}, "problems": list(problems)}}


def codes(records, read, drained=True):
    return sorted({v.code for v in judge.judge(records, read, drained)})


class Told(unittest.TestCase):
    def test_acknowledged_and_there_is_clean(self):
        self.assertEqual(codes([attempt(0), attempt(1)], sink(TAG(0), TAG(1))), [])

    def test_acknowledged_and_not_there_is_lost(self):
        self.assertEqual(codes([attempt(0), attempt(1)], sink("q~1~0~0~0", TAG(1))),
                         ["acknowledged-but-lost", "gap-in-sequence", "stored-but-never-sent"])

    def test_acknowledged_beyond_the_sinks_end_is_lost_only_once_it_is_said_to_be_drained(self):
        self.assertEqual(codes([attempt(0), attempt(1)], sink(TAG(0))), ["acknowledged-not-delivered"])
        self.assertEqual(codes([attempt(0), attempt(1)], sink(TAG(0)), drained=False), [])

    def test_acknowledged_without_an_offset_has_to_be_somewhere(self):
        known = attempt(0, places=[None])
        self.assertEqual(codes([known], sink(TAG(0))), [])
        self.assertEqual(codes([known], sink()), ["acknowledged-but-lost"])

    def test_acknowledged_where_it_is_not(self):
        self.assertEqual(codes([attempt(0, place=[0, 1]), attempt(1, place=[0, 0])], sink(TAG(0), TAG(1))),
                         ["acknowledged-at-another-offset"])

    def test_other_content_for_a_sequence_is_refused_and_not_acknowledged(self):
        other = attempt(0, tag="p~1~0~0~900", by="misuse", good=False, t=1.0)
        refused = {**other, "code": "FAILED_PRECONDITION", "outcomes": ["not"], "places": [None], "details": True,
                   "message": "why"}
        self.assertEqual(codes([attempt(0), other], sink(TAG(0))), ["acknowledged-other-content"])
        self.assertEqual(codes([attempt(0), refused], sink(TAG(0))), [])

    def test_not_stored_and_not_there_is_clean_and_there_is_not(self):
        self.assertEqual(codes([attempt(0, "not")], sink()), [])
        self.assertEqual(codes([attempt(0, "not")], sink(TAG(0))), ["told-not-stored-but-stored"])

    def test_another_attempt_explains_what_is_stored_only_if_it_came_in_time(self):
        again = attempt(0, t=1.0)
        self.assertEqual(codes([attempt(0, "not"), again], sink(TAG(0))), [])
        later = attempt(1, t=0.5)  # a later offset was there before the second attempt was sent
        self.assertEqual(codes([attempt(0, "not"), later, again], sink(TAG(0), TAG(1))),
                         ["told-not-stored-but-stored"])

    def test_unknown_explains_what_is_stored_and_what_is_not(self):
        self.assertEqual(codes([attempt(0, "unknown"), attempt(0, "not", t=1.0)], sink(TAG(0))), [])
        self.assertEqual(codes([attempt(0, "unknown")], sink()), [])

    def test_a_repeat_of_what_was_stored_before_is_never_not_stored(self):
        again = attempt(0, "not", t=5.0, code="FAILED_PRECONDITION", good=False)
        self.assertEqual(codes([attempt(0), again], sink(TAG(0))), ["told-not-stored-of-what-was-stored"])
        unknown_first = [attempt(0, "unknown"), attempt(1, t=1.0), again]
        self.assertEqual(codes(unknown_first, sink(TAG(0), TAG(1))), ["told-not-stored-of-what-was-stored"])
        self.assertEqual(codes([attempt(0), attempt(0, t=5.0)], sink(TAG(0))), [])
        elsewhere = attempt(0, "not", t=5.0)  # "wait, send again": it speaks of this attempt only
        self.assertEqual(codes([attempt(0), elsewhere], sink(TAG(0))), [])

    def test_other_content_for_a_sequence_that_is_forgotten_is_not_judged(self):
        other = attempt(0, tag="p~1~0~0~900", by="misuse", good=False, t=1.0, places=[None])
        self.assertEqual(codes([attempt(0), other], sink(TAG(0))), [])

    def test_a_lying_block_is_refused(self):
        lie = attempt(0, lie="cut-protobuf", producer="liar", good=False)
        self.assertIn("lying-block-acknowledged", codes([lie], sink(TAG(0))))
        refused = {**lie, "outcomes": ["not"], "places": [None], "code": "INVALID_ARGUMENT", "message": "why",
                   "via": "blocks"}
        self.assertEqual(codes([refused], sink()), [])


class Stored(unittest.TestCase):
    def test_twice(self):
        self.assertEqual(codes([attempt(0)], sink(TAG(0), TAG(0))), ["out-of-order", "stored-twice"])

    def test_two_contents_of_one_sequence(self):
        first, second = attempt(0, "unknown"), attempt(0, tag="p~1~0~0~1", place=[0, 1], t=1.0)
        self.assertEqual(codes([first, second], sink(TAG(0), "p~1~0~0~1")), ["out-of-order", "sequence-stored-twice"])
        self.assertEqual(codes([first, {**second, "places": [[0, 0]]}], sink("p~1~0~0~1")), [])

    def test_order_and_gaps_of_a_producer(self):
        both = [attempt(0, "unknown"), attempt(1, "unknown")]
        self.assertEqual(codes(both, sink(TAG(1), TAG(0))), ["gap-in-sequence", "out-of-order"])
        self.assertEqual(codes(both, sink(TAG(1))), ["gap-in-sequence"])
        self.assertEqual(codes(both, sink(TAG(0))), [])

    def test_a_lower_epoch_never_comes_after_a_higher_one(self):
        higher = attempt(0, "unknown", epoch=2, tag="p~2~0~0~0")
        self.assertEqual(codes([attempt(0, "unknown"), higher], sink(TAG(0), "p~2~0~0~0")), [])
        self.assertEqual(codes([attempt(0, "unknown"), higher], sink("p~2~0~0~0", TAG(0))),
                         ["older-epoch-after-newer"])

    def test_offsets_of_a_sink_are_without_gaps(self):
        self.assertEqual(codes([attempt(0, "unknown")], sink(TAG(0), first=3)), ["offset-gap"])
        broken = sink(TAG(0))
        broken["db"]["partitions"][0].append([0, TAG(1), True])
        self.assertEqual(codes([attempt(0), attempt(1, "unknown")], broken), ["gap-in-sequence", "offset-twice"])

    def test_content_and_what_the_reader_of_the_sink_found(self):
        self.assertEqual(codes([attempt(0)], sink(TAG(0), same=False)), ["content-differs"])
        self.assertEqual(codes([attempt(0)], sink(TAG(0), problems=["a hole"])), ["sink-broken"])


class Answers(unittest.TestCase):
    def test_a_failed_answer_has_what_is_promised(self):
        failed = attempt(0, "not")
        self.assertEqual(codes([{**failed, "details": False}], sink()), ["details-missing"])
        self.assertEqual(codes([{**failed, "retry": None}], sink()), ["retry-info-missing"])
        self.assertEqual(codes([{**failed, "message": ""}], sink()), ["message-empty"])
        self.assertEqual(codes([{**failed, "outcomes": []}], sink()), ["outcome-missing"])
        self.assertEqual(codes([{**failed, "code": "OK", "details": None}], sink()), ["code-against-outcome"])

    def test_what_our_own_grpc_says_promises_nothing(self):
        self.assertEqual(codes([attempt(0, "unknown", details=None, message="", code="UNAVAILABLE")], sink()), [])

    def test_a_good_producer_is_never_refused(self):
        for code in ("FAILED_PRECONDITION", "NOT_FOUND", "INVALID_ARGUMENT"):
            second = attempt(1, "not", code=code)
            self.assertEqual(codes([attempt(0), second], sink(TAG(0))), ["good-producer-refused"])
            self.assertEqual(codes([attempt(0), {**second, "good": False}], sink(TAG(0))), [])

    def test_a_gap_or_a_fence_of_its_own_is_no_wrong(self):
        gap = attempt(1, "not", code="FAILED_PRECONDITION")
        self.assertEqual(codes([attempt(0, "not"), gap], sink()), [])
        newer = attempt(0, epoch=2, tag="p~2~0~0~0", place=[0, 1], t=0.5)
        self.assertEqual(codes([attempt(0), newer, gap], sink(TAG(0), "p~2~0~0~0")), [])


def tail(start, *messages, **more):
    rows = [[m[0], [[o, TAG(o), True] for o in m[1]]] for m in messages]
    return {"is": "tail", "t0": 0, "t1": 1, "by": "look", "node": "a1", "stream": "web", "partition": 0, "from": start,
            "follow": True, "messages": rows, "code": "CANCELLED", "message": "", **more}


class Tails(unittest.TestCase):
    def codes(self, record, read=None, records=()):
        return sorted({v.code for v in judge_tails.judge_tails([record, *records], read or {})})

    def test_without_gaps_and_with_a_true_next_offset_is_clean(self):
        self.assertEqual(self.codes(tail(5, (7, [5, 6]), (8, [7]))), [])
        self.assertEqual(self.codes(tail("start", (5, []), (7, [5, 6]))), [])
        self.assertEqual(self.codes(tail("end", (9, []))), [])

    def test_gaps(self):
        self.assertEqual(self.codes(tail(5, (7, [6]))), ["tail-gap"])
        self.assertEqual(self.codes(tail(5, (6, [5]), (8, [7]))), ["tail-gap"])
        self.assertEqual(self.codes(tail("start", (0, []), (101, [100]))), ["tail-gap"])

    def test_a_next_offset_that_is_not_true(self):
        self.assertEqual(self.codes(tail(5, (9, [5, 6]))), ["tail-next-offset"])
        self.assertEqual(self.codes(tail(5, (0, []))), ["tail-next-offset"])

    def test_content(self):
        self.assertEqual(self.codes(tail(0, (1, [0])), sink(TAG(0))), [])
        self.assertEqual(self.codes(tail(0, (1, [0])), sink(TAG(3))), ["tail-differs"])
        changed = tail(0, (1, [0]))
        changed["messages"][0][1][0][2] = False
        self.assertEqual(self.codes(changed, sink(TAG(0))), ["content-differs"])

    def test_codes(self):
        self.assertEqual(self.codes(tail(0, code="OUT_OF_RANGE")), [])
        self.assertEqual(self.codes(tail(0, code="NOT_FOUND")), ["tail-refused"])

    def test_the_last_look_shows_everything_acknowledged(self):
        last = tail("start", (1, [0]), by="last", code="OK")
        self.assertEqual(self.codes(last, sink(TAG(0)), [attempt(0)]), [])
        self.assertEqual(self.codes(last, sink(TAG(0), TAG(1)), [attempt(0), attempt(1)]), ["tail-incomplete"])


def status(t, oldest_s, state="delivering"):
    return {"is": "status", "t": t, "node": "a1", "sink": "db", "stream": "web", "partition": 0, "cursor": 0, "lag": 9,
            "oldest_ms": oldest_s * 1000, "state": state, "error": ""}


def fault(kind, t0, t1, owned=()):
    return {"is": "fault", "kind": kind, "node": "a1", "owned": list(owned), "t0": t0, "t1": t1}


class Time(unittest.TestCase):
    def codes(self, *records):
        limits = {"stop_s": 5, "lag_s": 10, "waits": {"db": 1}}
        return sorted({v.code for v in judge_time.judge_time(list(records), limits)})

    def waiting(self, until):
        return [attempt(1, "unknown", t=float(t)) for t in range(1, until)]

    def test_a_partition_that_takes_nothing(self):
        self.assertEqual(self.codes(attempt(0), *self.waiting(4), attempt(1, t=4.0)), [])
        self.assertEqual(self.codes(attempt(0), *self.waiting(9), attempt(1, t=9.0)), ["partition-stopped"])
        self.assertEqual(self.codes(attempt(0), *self.waiting(9)), ["partition-stopped"])
        self.assertEqual(self.codes(attempt(0), attempt(1, t=9.0)), [])  # nobody tried

    def test_only_who_died_under_locked_metadata_may_wait(self):
        stop = [attempt(0), *self.waiting(9), attempt(1, t=9.0)]
        self.assertEqual(self.codes(*stop, fault("kill", 1, 5)), ["partition-stopped"])
        self.assertEqual(self.codes(*stop, fault("lock-metadata-kill", 1, 8, [["web", 1]])), ["partition-stopped"])
        self.assertEqual(self.codes(*stop, fault("lock-metadata-kill", 1, 8, [["web", 0]])), [])

    def test_a_sink_that_lags_without_a_fault(self):
        self.assertEqual(self.codes(status(50, 11)), [])
        self.assertEqual(self.codes(status(50, 13)), ["sink-lags"])
        self.assertEqual(self.codes(status(50, 13), fault("lock-sink", 30, 40)), [])
        self.assertEqual(self.codes(status(50, 13), fault("lock-sink", 20, 30)), ["sink-lags"])

    def test_idle_while_events_wait(self):
        self.assertEqual(self.codes(status(50, 3, "idle")), [])
        self.assertEqual(self.codes(status(50, 5, "idle")), ["idle-while-lag"])

    def test_the_sinks_catch_up_at_the_end(self):
        drained = {"is": "drained", "ok": True, "seconds": 30, "why": "", "waits": {}}
        self.assertEqual(self.codes(drained), [])
        self.assertEqual(self.codes({**drained, "ok": False}), ["sink-behind"])


class Fates(unittest.TestCase):
    """What a failed Append says of each event."""

    def failure(self, *runs, order=0, results=(), without_places=False):
        return SimpleNamespace(runs=[SimpleNamespace(**run) for run in runs], order=order, partitions=2,
                               results=[SimpleNamespace(**r) for r in results], without_places=without_places)

    RUNS = ({"count": 1, "outcome": 1, "partition": 0, "first_offset": 7}, {"count": 2, "outcome": 3})

    def test_results_come_before_runs(self):
        failure = self.failure(*self.RUNS, results=[{"outcome": 2}, {"outcome": 1, "partition": 1, "offset": 4}])
        self.assertEqual(wire.fates_of(failure, "ab"), [("not", None), ("ack", [1, 4])])

    def test_runs_as_sent(self):
        self.assertEqual(wire.fates_of(self.failure(*self.RUNS), "abc"), [("ack", [0, 7]), *[("unknown", None)] * 2])
        hidden = self.failure(*self.RUNS, without_places=True)
        self.assertEqual(wire.fates_of(hidden, "abc"), [("ack", None), *[("unknown", None)] * 2])

    def test_runs_by_key(self):
        tags = sorted((TAG(k) for k in range(30)), key=lambda tag: not wire.key_of(tag))
        first = next(k for k, tag in enumerate(tags) if not wire.key_of(tag))
        self.assertGreater(first, 0)  # events with keys are sent before it
        runs = [{"count": 1, "outcome": 2}, {"count": 29, "outcome": 3}]
        fates = wire.fates_of(self.failure(*runs, order=1), tags)
        self.assertEqual([k for k, fate in enumerate(fates) if fate == ("not", None)], [first])


class Wire(unittest.TestCase):
    GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden" / "block_none.bin"

    def test_the_golden_block_comes_apart_and_together_again(self):
        golden = self.GOLDEN.read_bytes()
        parts = wire.parse(golden)
        self.assertEqual((parts["producer"], parts["count"]), ("producer-7", 6))
        again = wire.pack(parts["producer"], parts["epoch"], parts["sequence"], parts["body"], count=parts["count"])
        self.assertEqual(again, golden)

    def test_a_flipped_bit_is_noticed(self):
        golden = bytearray(self.GOLDEN.read_bytes())
        golden[60] ^= 1
        with self.assertRaises(ValueError):
            wire.parse(bytes(golden))


if __name__ == "__main__":
    unittest.main()
