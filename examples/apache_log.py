"""Turns an Apache access log (combined format) into standard events and sends them to Kafka.

    python examples/apache_log.py access.log --bootstrap 127.0.0.1:29092 --topic events

The user is the client's IP address, the event's id the number of its line: sending a file twice
doubles nothing within the job's ``dedupe_window``. A line that is no request is reported with
its number and passed over. A rule for such events lies beside this file: apache_rules.json.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

_LINE = re.compile(
    r'(?P<client>\S+) \S+ (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<request>(?:[^"\\]|\\.)*)" '
    r'(?P<status>\d{3}) (?P<bytes>\d+|-)(?: "(?P<referrer>(?:[^"\\]|\\.)*)" '
    r'"(?P<agent>(?:[^"\\]|\\.)*)"?)?\s*'  # a long agent may be cut before its last quote
)
_TIME = "%d/%b/%Y:%H:%M:%S %z"


def to_event(line: str, number: int, source: str = "server") -> dict[str, Any] | None:
    """Give the standard event of a line, or None if it is no request.

    Args:
        line: Of the log.
        number: Of the line, from 1.
        source: The event's ``source``.
    """
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    try:
        time = datetime.strptime(found["time"], _TIME)  # noqa: DTZ007 - it reads the zone
    except ValueError:
        return None
    method, _, rest = found["request"].partition(" ")
    props: dict[str, Any] = {
        "status": int(found["status"]),
        "method": method,
        "path": rest.rpartition(" ")[0] or rest,
        "bytes": 0 if found["bytes"] == "-" else int(found["bytes"]),
    }
    for name in ("referrer", "agent"):
        if found[name] not in (None, "-"):
            props[name] = found[name]
    return {
        "event_id": f"line-{number}",
        "event_type": "request",
        "user_id": found["client"],
        "event_time": round(time.timestamp() * 1000),
        "source": source,
        "props": props,
    }


def events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Give the events of a log; lines that are none are told on standard error."""
    for number, line in enumerate(lines, 1):
        event = to_event(line.rstrip("\n"), number)
        if event is None:
            print(f"line {number} is no request: {line[:100]!r}", file=sys.stderr)
            continue
        yield event


def main(arguments: list[str]) -> None:
    """Send a file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path, help="access log in combined format")
    parser.add_argument("--bootstrap", default="127.0.0.1:29092", help="Kafka [%(default)s]")
    parser.add_argument("--topic", default="events", help="[%(default)s]")
    given = parser.parse_args(arguments)
    producer = KafkaProducer(bootstrap_servers=given.bootstrap, linger_ms=20)
    sent = 0
    try:
        with given.file.open(encoding="utf-8", errors="backslashreplace") as lines:
            for event in events(lines):
                key, value = event["user_id"].encode(), json.dumps(event).encode()
                producer.send(given.topic, key=key, value=value)
                sent += 1
    finally:
        producer.flush()
        producer.close()
    print(f"{sent} events sent to {given.topic}")


if __name__ == "__main__":
    main(sys.argv[1:])
