"""A small JSON-over-HTTP server: routes, readiness, request logs and a prompt stop."""

import json
import os
import re
import signal
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

from kit import log

LARGEST_BODY = 1 << 20
SECONDS_TO_FINISH = 0.7


class Failure(Exception):
    """An answer that is not a success: HTTP status, a stable code and a sentence for people."""

    def __init__(self, status, code, message, **details):
        super().__init__(message)
        self.status = status
        self.body = {"error": {"code": code, "message": message, **details}}


@dataclass
class Request:
    id: str
    query: dict = field(default_factory=dict)
    body: dict = field(default_factory=dict)


def run(routes, start, ready):
    """Serves until SIGTERM.

    `routes` is a list of (method, path pattern, handler); a handler takes the request and the
    pattern's groups and returns (status, body). `start` runs once before the port opens;
    `ready` raises while the service cannot work.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    began = time.monotonic()
    start()
    server = _Server(("", int(os.environ.get("PORT", "8080"))), _Handler)
    server.routes = [(method, re.compile(pattern), handler) for method, pattern, handler in routes]
    server.ready = ready
    log.info("listening", port=server.server_port, startMs=_since(began))
    try:
        server.serve_forever()
    finally:
        server.server_close()
        server.finish(SECONDS_TO_FINISH)
        log.info("stopped")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *args):
        super().__init__(*args)
        self._busy = 0
        self._changed = threading.Condition()

    def count(self, change):
        with self._changed:
            self._busy += change
            self._changed.notify_all()

    def finish(self, seconds):
        with self._changed:
            self._changed.wait_for(lambda: self._busy == 0, timeout=seconds)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without this every answer waits for the client's delayed acknowledgement (40 ms).
    disable_nagle_algorithm = True

    def do_GET(self):
        self.server.count(+1)
        try:
            self._answer()
        finally:
            self.server.count(-1)

    do_POST = do_PUT = do_DELETE = do_GET

    def _answer(self):
        began = time.monotonic()
        url = urlsplit(self.path)
        request_id = self.headers.get("X-Request-Id") or uuid.uuid4().hex
        try:
            body = self._read_body()
            if url.path == "/healthz":
                status, answer = self._health()
            else:
                status, answer = self._route(url, Request(request_id, dict(parse_qsl(url.query)), body))
        except Failure as failure:
            status, answer = failure.status, failure.body
        except Exception as problem:
            log.error("request failed", requestId=request_id, path=url.path, error=repr(problem))
            status, answer = 500, Failure(500, "internal", "Something went wrong.").body
        self._send(status, answer, request_id)
        if url.path != "/healthz":
            log.info("request", method=self.command, path=url.path, status=status,
                     ms=_since(began), requestId=request_id)

    def _health(self):
        try:
            self.server.ready()
            return 200, {"status": "ok"}
        except Exception as problem:
            log.warn("not ready", error=str(problem).strip())
            return 503, {"status": "unavailable", "reason": str(problem).strip()}

    def _route(self, url, request):
        allowed = []
        for method, pattern, handler in self.server.routes:
            match = pattern.fullmatch(url.path)
            if match and method == self.command:
                return handler(request, *map(unquote, match.groups()))
            if match:
                allowed.append(method)
        if allowed:
            raise Failure(405, "method_not_allowed", f"Use {' or '.join(allowed)}.")
        raise Failure(404, "no_such_path", f"There is nothing at {url.path}.")

    def _read_body(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_BODY:
            self.close_connection = True
            raise Failure(413, "body_too_large", "The body is larger than 1 MiB.")
        if not length:
            return {}
        try:
            body = json.loads(self.rfile.read(length))
        except ValueError:
            raise Failure(400, "bad_json", "The body is not JSON.") from None
        if not isinstance(body, dict):
            raise Failure(400, "bad_json", "The body is not a JSON object.")
        return body

    def _send(self, status, answer, request_id):
        payload = b"" if answer is None else json.dumps(answer, default=datetime.isoformat).encode()
        self.send_response(status)
        if payload:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.send_header("X-Request-Id", request_id)
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_):
        """Silences the server's own access log: `_answer` writes a structured one."""


def _since(began):
    return round((time.monotonic() - began) * 1000, 1)
