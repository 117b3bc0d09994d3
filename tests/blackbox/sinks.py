"""What stands in the sinks, read as docs/SINKS.md says. A row is [offset, tag, same]: `same` says
whether every byte is as it was sent."""
import base64
import json
import pathlib
import re
import sqlite3
import subprocess

import wire


def read_all(sinks):
    """name -> {"stream", "partitions": {partition: rows}, "problems": [text]}; rows as they stand, by offset."""
    read = {}
    for name, (stream, kind, url) in sinks.items():
        reader = {"sqlite": read_sqlite, "files": read_files, "postgres": read_postgres}[kind]
        partitions, problems = reader(url, stream)
        read[name] = {"stream": stream, "partitions": partitions, "problems": problems}
    return read


def row_of(offset, tag, key, payload, attributes):
    same = payload == wire.payload_of(tag) and key == wire.key_of(tag) and attributes == {"of": tag}
    return [offset, tag, same]


def read_sqlite(url, stream):
    partitions = {}
    file = url.removeprefix("sqlite:")
    if not pathlib.Path(file).exists():
        return {}, []
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)
    connection.text_factory = bytes
    try:
        rows = connection.execute(
            'SELECT partition, "offset", id, key, payload, attributes FROM events WHERE stream = ? '
            'ORDER BY partition, "offset"', (stream,))
        for partition, offset, tag, key, payload, attributes in rows:
            partitions.setdefault(partition, []).append(
                row_of(offset, text(tag), text(key), payload or b"", json.loads(attributes)))
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
    finally:
        connection.close()
    return partitions, []


def text(value):
    return value.decode(errors="replace") if value is not None else ""


def read_files(url, stream):
    """Finished files only, in the chain of their first offsets."""
    partitions, problems = {}, []
    folder = pathlib.Path(url.removeprefix("files:")) / stream
    for part in sorted(folder.iterdir()) if folder.exists() else ():
        rows, expected = partitions.setdefault(int(part.name), []), 0
        for file in sorted(part.glob("*.ndjson")):
            lines = file.read_bytes().split(b"\n")
            try:
                head = json.loads(lines[0])["forebay"]
            except (ValueError, KeyError) as error:
                problems.append(f"{file.name} of partition {part.name} has no head: {error}")
                continue
            if int(file.stem) != head["first"] or head["first"] != expected:
                problems.append(f"{file.name} of partition {part.name} begins at {head['first']}, not {expected}")
            expected = head["next"]
            found = [file_row(line) for line in lines[1:] if line]
            if len(found) != head["count"]:
                problems.append(f"{file.name} of partition {part.name} holds {len(found)} events, not {head['count']}")
            rows.extend(found)
    return partitions, problems


def file_row(line):
    try:
        event = json.loads(line)
    except ValueError:  # no JSON parser reads this line: it differs from what was sent, whatever it holds
        offset, tag = re.search(rb'"offset":(\d+),"id":"([^"]*)"', line).groups()
        return [int(offset), tag.decode(), False]
    payload = b""
    if "payload_base64" in event:
        payload = base64.b64decode(event["payload_base64"])
    elif "payload" in event:  # JSON stands there byte for byte
        expected = wire.payload_of(event["id"])
        payload = expected if b'"payload":' + expected in line else json.dumps(event["payload"]).encode()
    return row_of(event["offset"], event["id"], event.get("key", ""), payload, event.get("attributes", {}))


def read_postgres(url, stream):
    query = ("SELECT json_build_array(partition, \"offset\", id, key, payload, payload_is_base64, attributes) "
             f"FROM events WHERE stream = '{stream}' ORDER BY partition, \"offset\"")
    done = subprocess.run(["psql", "-X", "-At", "-c", query, url], capture_output=True, text=True, check=True)
    partitions = {}
    for line in done.stdout.splitlines():
        partition, offset, tag, key, payload, is_base64, attributes = json.loads(line)
        content = base64.b64decode(payload) if is_base64 else payload.encode()
        partitions.setdefault(partition, []).append(row_of(offset, tag, key, content, attributes))
    return partitions, []


def save(read, folder):
    (folder / "sinks.json").write_text(json.dumps(read))


def load(folder):
    read = json.loads((folder / "sinks.json").read_text())
    for sink in read.values():
        sink["partitions"] = {int(p): rows for p, rows in sink["partitions"].items()}
    return read
