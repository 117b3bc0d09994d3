"""Every row of the table: a peer with its options, and what its acknowledgement stands for."""
import dataclasses

from compare.forebay import Forebay
from compare.kafka import Kafka
from compare.rabbitmq import RabbitMq
from compare.small_peers import Etcd, Nats, Redis


@dataclasses.dataclass(frozen=True)
class Variant:
    name: str
    title: str
    peer: type
    options: dict
    fsync: bool  # before the acknowledgement, on a majority
    acknowledged: str  # when the acknowledgement comes
    not_guaranteed: str


def kafka(name, title, codec, flush):
    return Variant(
        name, title, Kafka, {"codec": codec, "flush": flush}, flush,
        "all in-sync replicas have it (acks=all, min.insync.replicas=2, idempotent producer)"
        + (", written and flushed after every message (log.flush.interval.messages=1)" if flush else ", in memory"),
        "nothing more; its makers advise against the setting, as replication is enough to them" if flush else
        "what the page caches of all replicas lose together: a power cut of them all loses acknowledged events")


VARIANTS = {each.name: each for each in (
    Variant("forebay", "Forebay, draining to a sink", Forebay, {"sink": True}, True,
            "two of three zones have it in a write-ahead log and have synced it",
            "reading by several consumers, or again: events are kept until the sinks have them"),
    Variant("forebay-backlog", "Forebay, drain stopped", Forebay, {"sink": False}, True,
            "the same; nothing is trimmed", "the same"),
    Variant("redis-always", "Redis, AOF always, WAIT 2", Redis, {"fsync": "always", "wait": 2}, True,
            "master and both replicas have processed it; each flushes its file before it answers",
            "that a failover chooses a replica that has it (WAIT is not consensus); deduplication; the flush on replicas is "
            "how this version works, not documented"),
    Variant("redis-everysec", "Redis, AOF every second, WAIT 1", Redis, {"fsync": "everysec", "wait": 1}, False,
            "the master and a replica have processed it, in memory",
            "about the last second before a power cut, and the same"),
    Variant("rabbitmq-quorum", "RabbitMQ quorum queue", RabbitMq, {"queue": "quorum"}, True,
            "a majority has it in its write-ahead log and has synced it",
            "deduplication: what is sent again after a lost confirm is there twice"),
    Variant("rabbitmq-stream", "RabbitMQ stream", RabbitMq, {"queue": "stream"}, False,
            "a majority has written it, to page caches",
            "what the page caches of a majority lose together; over AMQP, deduplication"),
    Variant("rabbitmq-stream-sync", "RabbitMQ stream, synchronous files", RabbitMq, {"queue": "stream", "synchronous": True},
            True, "a majority has written it to files that write through (chattr +S: ext4, root)",
            "over AMQP, deduplication; RabbitMQ has no setting of its own for it"),
    Variant("etcd", "etcd", Etcd, {}, True, "a majority has it in its write-ahead log and has synced it",
            "a queue: it is a store of keys, 8 GiB at most, here with the event's id as key"),
    Variant("nats", "NATS JetStream, as it comes", Nats, {}, False, "a majority has it in its Raft log, in memory",
            "what the page caches of a majority lose together"),
    Variant("nats-sync", "NATS JetStream, synchronous files", Nats, {"synchronous": True}, True,
            "a majority has written it to files that write through (chattr +S: ext4, root)",
            "nothing more; this version has no setting of its own for it"),
    kafka("kafka-zstd", "Kafka, zstd", "zstd", False),
    kafka("kafka-lz4", "Kafka, lz4", "lz4", False),
    kafka("kafka-flush-zstd", "Kafka, flush each message, zstd", "zstd", True),
    kafka("kafka-flush-lz4", "Kafka, flush each message, lz4", "lz4", True),
)}
