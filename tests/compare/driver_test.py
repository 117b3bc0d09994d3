"""The arithmetic of scripts/bench compare, check and report."""
import sys
import pathlib
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

from compare import builds, figures, goals, machine, report, single  # noqa: E402 (the path comes first)
from compare.variants import VARIANTS  # noqa: E402
from compare.workloads import DEFAULT, WORKLOADS  # noqa: E402


def run_line(**more):
    return {"kind": "run", "variant": "etcd", "workload": "max1k", "repeat": 0, "rate": 0, "events_per_s": 100.0,
            "p99_ms": 1.0, "disturbed": False, "seconds": 10, **more}


class Figures(unittest.TestCase):
    def test_a_median_is_of_what_was_measured(self):
        self.assertEqual(figures.median([3, None, 1, 2]), 2)
        self.assertEqual(figures.median([1, 2]), 1.5)
        self.assertIsNone(figures.median([None]))

    def test_server_figures_count_between_the_samples_per_event_and_byte(self):
        before = machine.Sample(at=5, cpu_s=10, written_bytes=1000, disk_bytes=0, disk_flushes=7)
        after = machine.Sample(at=15, cpu_s=12, written_bytes=4000, disk_bytes=6000, disk_flushes=27, memory_mib=50)
        of = figures.server_figures(before, after, events=1000, event_bytes=2)
        self.assertEqual(of["server_cpu_s_per_million"], 2000)
        self.assertEqual(of["written_per_byte"], 1.5)
        self.assertEqual(of["disk_written_per_byte"], 3)
        self.assertEqual(of["flushes_per_s"], 2)
        self.assertIsNone(figures.server_figures(before, after, events=0, event_bytes=2)["written_per_byte"])

    def test_a_run_is_disturbed_when_others_use_too_much_of_all_cores(self):
        before = machine.Sample(at=0, user_s=5, machine_user_s=100)
        after = machine.Sample(at=10, user_s=11, machine_user_s=115)
        foreign = figures.foreign_cpu_s(before, after, client_user_s=7)
        self.assertEqual(foreign, 2)
        self.assertTrue(figures.disturbed(foreign, 10, 2))
        self.assertFalse(figures.disturbed(1.1, 10, 2))

    def test_a_ratio_has_its_spread_and_how_far_a_is_from_itself(self):
        ratio = figures.Ratio.of([(100, 110), (200, 240), (100, 105)])
        self.assertAlmostEqual(ratio.middle, 1.1)
        self.assertEqual((ratio.low, ratio.high), (1.05, 1.2))
        self.assertEqual(ratio.noise, 0.75)  # twice as much, then half of it
        self.assertIsNone(figures.Ratio.of([(0, 5)]))

    def test_a_difference_needs_rounds_that_agree_and_more_than_noise(self):
        def verdict(*pairs):
            return figures.Ratio.of(pairs).verdict()
        self.assertEqual(verdict(*[(100, 110)] * 5), "B higher")
        self.assertEqual(verdict(*[(100, 90)] * 5), "B lower")
        self.assertEqual(verdict(*[(100, 110)] * 4), "too few rounds")
        self.assertEqual(verdict(*[(100, 110)] * 4, (100, 99)), "no difference seen")
        self.assertEqual(verdict(*[(100, 110), (150, 165)] * 3), "no difference seen")


class Builds(unittest.TestCase):
    def test_more_throughput_is_better_and_more_time_is_worse(self):
        rounds = [({"closed events_per_second": a, "open p99_ms": 5}, {"closed events_per_second": b, "open p99_ms": 6})
                  for a, b in ((100, 120), (100, 110), (100, 115), (100, 112), (100, 118))]
        rows = {row[0]: row for row in builds.table(rounds)}
        self.assertEqual(rows["closed events_per_second"][4], "B better")
        self.assertEqual(rows["open p99_ms"][4], "B worse")
        self.assertIn("1.100 to 1.200", builds.text_of(rows.values()))

    def test_what_only_one_build_has_is_left_out(self):
        self.assertEqual([row[0] for row in builds.table([({"a": 1, "b": 1}, {"b": 2})])], ["b"])


class Report(unittest.TestCase):
    def test_a_row_has_the_median_of_the_runs(self):
        results = report.Results([run_line(events_per_s=value) for value in (1000, 9000, 2000)])
        self.assertEqual(results.get("etcd", "max1k", "events_per_s"), 2000)
        self.assertIn("| 2,000 / – |", report.row(results, "etcd"))

    def test_one_lost_event_in_any_run_shows(self):
        lines = [run_line(workload="failover", gap_ms=gap, max_ms=gap, lost=lost, duplicates=0)
                 for gap, lost in ((100, 0), (900, 1), (200, 0))]
        self.assertIn("| 900 / 900 | 1 / 0 |", report.row(report.Results(lines), "etcd"))

    def test_a_rate_that_was_not_reached_has_no_latency(self):
        results = report.Results([run_line(workload="rate1k", rate=2000, events_per_s=780, p50_ms=5000, p999_ms=9000)])
        self.assertEqual(report.latencies(results, "etcd", "rate1k", ("p50_ms",)), "cannot (780/s)")

    def test_every_row_has_a_cell_for_every_head(self):
        lines = [run_line(), run_line(workload="failover", gap_ms=1, max_ms=1, lost=0, duplicates=0, variant="nats"),
                 run_line(workload="deep1k")]
        rows = report.table(report.Results(lines)).splitlines()
        self.assertEqual(len({row.count("|") for row in rows}), 1)

    def test_the_document_has_the_figures_of_its_result_file(self):
        self.assertEqual(report.check(), 0)

    def test_what_is_measured_anew_replaces_what_was_measured_before(self):
        first, second = ({"kind": "machine", "command": name} for name in ("first", "second"))
        etcd, nats = run_line(), run_line(variant="nats")
        def again(line):
            return line["variant"] == "etcd"
        self.assertEqual(report.without([first, etcd, nats, second, etcd], again), [first, nats])
        self.assertEqual(report.without([nats, first, etcd], again), [nats])

    def test_the_chart_has_a_bar_for_every_row(self):
        chart = report.chart(report.Results([run_line(), run_line(workload="rate1k", rate=100)]))
        self.assertEqual(chart.count(VARIANTS["etcd"].title), 2)


class Goals(unittest.TestCase):
    @staticmethod
    def reached(runs=(), benches=()):
        """{goal: the last cell of its row}"""
        measured = goals.Measured(report.Results([run_line(variant="forebay", **run) for run in runs]), list(benches))
        cells = [line.split("|")[1:-1] for line in goals.table(measured).splitlines()[2:]]
        return {row[0].strip(): row[3].strip() for row in cells}

    def test_more_events_and_less_time_are_better(self):
        verdicts = self.reached([{"workload": "max1k", "events_per_s": 260_000.0},
                                 {"workload": "max200", "events_per_s": 400_000.0},
                                 {"workload": "rate1k", "p50_ms": 1.0, "p99_ms": 20.0}])
        self.assertEqual(verdicts["events/s of 1 KiB, drain running"], "yes")
        self.assertEqual(verdicts["events/s of 200 B, drain running"], "no: 50% of it")
        self.assertEqual(verdicts["at 2,000 events/s, from due time: p50"], "yes")
        self.assertEqual(verdicts["the same: p99"], "no: 50% of it")

    def test_what_was_not_measured_is_called_that(self):
        self.assertEqual(set(self.reached().values()), {"not measured"})

    def test_phases_of_the_bench_are_read(self):
        def bench(name, **phase):
            return {"kind": "bench", "name": name, "result": {"measurements": [phase]}}
        faults = [{"fault": "kill", "partition_ack_gap_ms_max": 800}, {"fault": "restart", "partition_ack_gap_ms_max": 50}]
        verdicts = self.reached(benches=[
            bench("failover", phase="failover", faults=faults),
            bench("partitions-12", phase="closed", events_per_second=100), bench(
                "partitions-1000", phase="closed", events_per_second=90),
            bench("failover-1000", phase="failover", faults=[{"new_owners_ms": 1500}]),
            bench("large-1000000", phase="closed", bytes_per_second=40),
            {"kind": "single", "name": "disk", "result": {"bytes_per_second": 240}},
            {"kind": "single", "name": "idle", "result": {"syncs": 0, "core_share": 0.04}},
            {"kind": "single", "name": "full_backlog", "result": {"memory_mib": 1024}}])
        self.assertEqual(verdicts["longest gap of a partition without an acknowledgement: owner killed"], "no: 50% of it")
        self.assertEqual(verdicts["the same: owner restarted gracefully"], "yes")
        self.assertEqual(verdicts["throughput with 1,000 partitions, against 12: 20,000 events in flight"], "yes")
        self.assertEqual(verdicts["memory of a node with a backlog of 10 GiB"], "no: 50% of it")
        self.assertEqual(verdicts["10,000 idle partitions: syncs in 30 s"], "yes")
        self.assertEqual(verdicts["the same: of a core, per node"], "no: 50% of it")
        self.assertEqual(verdicts["1,000 partitions: all of a killed node's have a new owner"], "yes")
        self.assertEqual(verdicts["incompressible events of 1 MB, against what the disk takes at three copies"],
                         "no: 83% of it")

    def test_bytes_between_nodes_are_those_of_connections_with_a_node_at_either_end(self):
        def line(local, peer, pid, acked):
            return f'ESTAB 0 0 {local} {peer} users:(("forebay",pid={pid},fd=9)) cubic bytes_sent:9 bytes_acked:{acked} x:1'
        sockets = "\n".join((line("h:1", "h:2", 10, 100), line("[::ffff:h]:2", "[::ffff:h]:1", 11, 7),
                              line("h:2", "h:3", 11, 5000),
                              line("h:3", "h:2", 99, 5000)))
        self.assertEqual(single.between_nodes(sockets, {10, 11}), 107)


class Choices(unittest.TestCase):
    def test_what_kills_the_leader_is_asked_of_one_partition(self):
        for workload in WORKLOADS.values():
            self.assertEqual(workload.partitions == 1, workload.kill, workload.name)

    def test_half_of_a_workload_comes_after_it(self):
        order = list(DEFAULT)
        for name in order:
            if WORKLOADS[name].half_of:
                self.assertLess(order.index(WORKLOADS[name].half_of), order.index(name))


if __name__ == "__main__":
    unittest.main()
