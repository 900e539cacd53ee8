"""JSON lines on stdout: time, level, msg, service, then whatever the caller adds."""

import json
import os
import sys
from datetime import datetime, timezone

SERVICE = os.environ.get("SERVICE", "shop")


def info(msg, **fields):
    _write("info", msg, fields)


def warn(msg, **fields):
    _write("warn", msg, fields)


def error(msg, **fields):
    _write("error", msg, fields)


def _write(level, msg, fields):
    time = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = {"time": time, "level": level, "msg": msg, "service": SERVICE, **fields}
    # One write for the whole line, so that threads do not mix theirs.
    sys.stdout.write(json.dumps(line, default=str) + "\n")
    sys.stdout.flush()
