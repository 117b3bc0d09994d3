"""What is asked of every peer."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    what: str
    event_bytes: int = 1024
    publishers: int = 8
    in_flight: int = 256  # of each publisher
    rate: float = 0  # events a second of all, open loop; 0: as fast as it goes
    half_of: str = ""  # instead: half of what that workload reached
    kill: bool = False  # the leader's process, in the middle of it
    partitions: int = 6  # where a peer has them


WORKLOADS = {each.name: each for each in (
    Workload("max1k", "1 KiB events, 8 publishers x 256 in flight, closed loop"),
    Workload("deep1k", "1 KiB events, 8 publishers x 2,048 in flight, closed loop", in_flight=2048),
    Workload("max200", "200 B events, 8 publishers x 256 in flight, closed loop", event_bytes=200),
    Workload("deep200", "200 B events, 8 publishers x 2,048 in flight, closed loop", event_bytes=200, in_flight=2048),
    Workload("rate1k", "1 KiB events, 2,000 a second in all, open loop", rate=2000),
    Workload("half1k", "1 KiB events, open loop at half of what max1k reached", half_of="max1k", in_flight=4096),
    Workload("failover", "1 KiB events, 2,000 a second, open loop, one partition; its leader is killed (SIGKILL)",
             rate=2000, in_flight=512, kill=True, partitions=1),
)}
DEFAULT = ("max1k", "max200", "rate1k", "half1k", "failover")
