"""Redis as a cache: everything works without it, only slower."""

import json
import os
from datetime import datetime

import redis

from kit import log


class Cache:
    def __init__(self):
        url = os.environ.get("REDIS_URL", "redis://redis:6379")
        self._redis = redis.Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)

    def get(self, key):
        value = self._try("read", lambda: self._redis.get(key))
        return None if value is None else json.loads(value)

    def put(self, key, value, seconds):
        self._try("write", lambda: self._redis.set(key, json.dumps(value, default=datetime.isoformat), ex=seconds))

    def forget(self, *keys):
        self._try("delete", lambda: self._redis.delete(*keys))

    def bump(self, key):
        """Raises a counter that other services use to notice a change."""
        self._try("bump", lambda: self._redis.incr(key))

    def _try(self, action, operation):
        try:
            return operation()
        except redis.RedisError as problem:
            log.warn("the cache does not answer", action=action, error=str(problem))
            return None
