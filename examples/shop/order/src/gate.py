"""Brings the service to rest for a moment: orders that were begun are finished, and others wait."""

import threading
import time

# Whoever closed it may never come back.
LONGEST_REST = 10


class Gate:
    def __init__(self, longest_rest=LONGEST_REST, now=time.monotonic):
        self._longest_rest = longest_rest
        self._now = now
        self._changed = threading.Condition()
        self._inside = 0
        self._closed_until = 0

    def __enter__(self):
        with self._changed:
            while (left := self._closed_until - self._now()) > 0:
                self._changed.wait(left)
            self._inside += 1

    def __exit__(self, *_):
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def close(self):
        """Lets nobody in any more; returns whether all who were inside have left in time."""
        with self._changed:
            self._closed_until = self._now() + self._longest_rest
            return self._changed.wait_for(lambda: self._inside == 0, timeout=self._longest_rest / 2)

    def open(self):
        with self._changed:
            self._closed_until = 0
            self._changed.notify_all()
