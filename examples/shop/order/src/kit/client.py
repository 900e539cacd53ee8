"""Calls another service: JSON in, (status, JSON) out, the request id passed on."""

import json
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from kit.server import Failure

SECONDS_TO_WAIT = 3


def call(method, url, request_id, body=None):
    """Answers of every status are returned; only a service that cannot be reached raises."""
    request = Request(
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "X-Request-Id": request_id},
    )
    try:
        with urlopen(request, timeout=SECONDS_TO_WAIT) as response:
            return response.status, _parse(response)
    except HTTPError as response:
        with response:
            return response.code, _parse(response)
    except (OSError, HTTPException) as problem:
        raise Failure(502, "upstream_unavailable", f"{url.split('/')[2]} does not answer: {problem}") from problem


def _parse(response):
    payload = response.read()
    return json.loads(payload) if payload else None
