"""Blocks as docs/FORMATS.md describes them, the fates in an answer, and what an event of this checker holds.

An event's content follows from its tag, PRODUCER~EPOCH~PARTITION~SEQUENCE~VARIANT, which is also its
id. So a reader that finds an event anywhere knows what it should look like and who sent it.
"""
import json
import struct
import zlib

import history

HEADER = struct.Struct("<4sBBHIIIIQQ")  # magic .. sequence of the first event: 40 bytes
MAGIC, VERSION, CODEC_NONE = b"FBK1", 1, 0
OUTCOMES = {1: history.ACK, 2: history.NOT, 3: history.UNKNOWN}  # AppendOutcome


def _crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc32c_table()


def crc32c(*parts):
    crc = 0xFFFFFFFF
    for part in parts:
        for byte in part:
            crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def pack(producer, epoch, sequence, body, **lies):
    """A block with codec none. `lies` replace what the header says: count, raw, codec, version."""
    name = producer.encode()
    fields = [MAGIC, lies.get("version", VERSION), lies.get("codec", CODEC_NONE), len(name), 0,
              lies["count"], lies.get("raw", len(body)), len(body), epoch, sequence]
    header = HEADER.pack(*fields)
    fields[4] = crc32c(header[:8], header[12:], name, body)
    return HEADER.pack(*fields) + name + body


def parse(block):
    """What a block says, with `body` as it is there. ValueError: it is none."""
    if len(block) < HEADER.size:
        raise ValueError("shorter than a header")
    magic, version, codec, n, crc, count, raw, m, epoch, sequence = HEADER.unpack_from(block)
    if magic != MAGIC or version != VERSION or len(block) != HEADER.size + n + m:
        raise ValueError("not a block of version 1")
    if crc32c(block[:8], block[12:]) != crc:
        raise ValueError("its checksum is wrong")
    name = block[HEADER.size:HEADER.size + n]
    return {"codec": codec, "count": count, "raw": raw, "epoch": epoch, "sequence": sequence,
            "producer": name.decode(), "body": block[HEADER.size + n:]}


def tag_of(producer, epoch, partition, sequence, variant):
    return f"{producer}~{epoch}~{partition}~{sequence}~{variant}"


def slot_of(tag):
    """The sequence a tag belongs to, without the variant of its content."""
    return tag.rsplit("~", 1)[0]


def split(tag):
    """(producer, epoch, partition, sequence, variant), or None if it is no tag."""
    parts = tag.split("~")
    if len(parts) != 5 or not all(part.isdigit() for part in parts[1:]):
        return None
    return (parts[0], *(int(part) for part in parts[1:]))


def payload_of(tag):
    """The bytes an event must have everywhere: mostly JSON, sometimes nearly JSON, sometimes not."""
    draw = zlib.crc32(tag.encode())
    json_text = json.dumps({"tag": tag, "pad": "x" * (draw % 97)}).encode()
    kind = (draw >> 8) % 16
    if kind == 0:
        return bytes((draw * k >> 3) & 0xFF for k in range(1, 40)) + tag.encode()
    if kind == 1:
        return json_text + b"\0"
    if kind == 2:
        return b"\xef\xbb\xbf" + json_text
    if kind == 3:
        return b""
    if kind == 4:
        return b'{"a":1.0,"a":1e0,"tag":"' + tag.encode() + b'"}'
    return json_text


def key_of(tag):
    return "" if zlib.crc32(tag.encode()) % 3 else "key-" + str(zlib.crc32(tag.encode()) % 50)


def event_of(stubs, tag, key=None):
    return stubs.event.Event(id=tag, key=key_of(tag) if key is None else key, type="blackbox",
                             payload=payload_of(tag), attributes={"of": tag})


def body_of(stubs, tags):
    return stubs.event.EventBatch(events=[event_of(stubs, tag) for tag in tags]).SerializeToString()


def block_of(stubs, producer, epoch, sequence, tags):
    return pack(producer, epoch, sequence, body_of(stubs, tags), count=len(tags))


def lying_blocks(stubs, producer, epoch, sequence, tag):
    """Blocks with a right checksum that must be refused, by the name of the lie."""
    body = body_of(stubs, [tag])
    two = body_of(stubs, [tag, tag + "b"])

    def block(of, **lies):
        return pack(producer, epoch, sequence, of, **{"count": 1, **lies})

    return {
        "count-too-high": block(body, count=2),
        "count-too-low": block(two, count=1),
        "raw-length-wrong": block(body, raw=len(body) + 1),
        "raw-length-zero": block(body, raw=0),
        "cut-protobuf": block(body[:-3]),
        "no-protobuf": block(b"\xff" * 40),
        "empty-body": block(b""),
        "count-zero": block(b"", count=0),
        "says-lz4": block(body, codec=1),
        "says-zstd": block(body, codec=2),
        "unknown-codec": block(body, codec=9),
        "unknown-version": block(body, version=2),
        "no-utf8-id": block(body.replace(tag.encode()[:1], b"\xff", 1)),
        "event-too-large": block(stubs.event.EventBatch(
            events=[stubs.event.Event(id=tag, payload=bytes((1 << 20) + 1))]).SerializeToString()),
    }


def place_of(result):
    known = result.outcome == 1 and not getattr(result, "offset_unknown", False)
    return [result.partition, result.offset] if known else None


def fates_of(failure, tags):
    """(outcome, place) of each event, as sent: from the results, or from the runs where these are left out."""
    if failure.results:
        return [(OUTCOMES.get(r.outcome, "none"), place_of(r)) for r in failure.results]
    fates = []
    for run in getattr(failure, "runs", ()):
        outcome, where = OUTCOMES.get(run.outcome, "none"), run.outcome == 1 and not failure.without_places
        fates += [(outcome, [run.partition, run.first_offset + k] if where else None) for k in range(run.count)]
    if len(fates) != len(tags) or failure.order == 0:
        return fates
    # First those without a key, then by the partition that follows from the key.
    keys = [key_of(tag).encode() for tag in tags]
    order = sorted(range(len(tags)), key=lambda k: crc32c(keys[k]) % failure.partitions if keys[k] else -1)
    return [fate for _, fate in sorted(zip(order, fates))]
