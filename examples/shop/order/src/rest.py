"""Brings the service beside it to rest, so that a snapshot holds every order everywhere or nowhere; `--end` wakes it.

devenv runs it before and after a snapshot: see `quiesce` of the service in the manifest.
"""

import sys
import uuid

from kit.client import call

OWN = "http://localhost:8080/internal/rest"


def main(words):
    method = "DELETE" if words == ["--end"] else "POST"
    status, answer = call(method, OWN, f"rest-{uuid.uuid4().hex[:8]}")
    if status >= 300:
        raise SystemExit(answer["error"]["message"])


if __name__ == "__main__":
    main(sys.argv[1:])
