"""PostgreSQL: a bounded pool, one transaction at a time, and tables that make themselves."""

import os
import sys
import threading
import time
from contextlib import contextmanager

import psycopg2
from psycopg2.extras import RealDictCursor

from kit import log
from kit.server import Failure

SCHEMA_LOCK = 7_231_001
SECONDS_TO_WAIT = 30
LARGEST_POOL = 8


class Database:
    """`tables` maps a table's name to the SQL that creates and seeds it."""

    def __init__(self, tables):
        self._url = os.environ.get("DATABASE_URL", "postgres://shop:shop@postgres:5432/shop")
        self._tables = tables
        self._idle = []
        self._slots = threading.BoundedSemaphore(LARGEST_POOL)

    def wait(self):
        """Returns when the database answers and the tables exist; ends the process when it never does."""
        deadline = time.monotonic() + SECONDS_TO_WAIT
        while True:
            try:
                return self.ensure_tables()
            except psycopg2.Error as problem:
                reason = str(problem).strip()
            if time.monotonic() > deadline:
                log.error("the database did not answer, giving up", seconds=SECONDS_TO_WAIT, error=reason)
                sys.exit(1)
            log.warn("waiting for the database", error=reason)
            time.sleep(0.3)

    def ensure_tables(self):
        """Creates and seeds what is missing: at the start, and after the database was emptied.

        Seeds come with the creation only, so that loaded data is never mixed with them later.
        """
        with self._cursor() as cursor:
            if not self._missing(cursor):
                return
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
            for table in self._missing(cursor):
                cursor.execute(self._tables[table])
                log.info("table created", table=table)

    def _missing(self, cursor):
        cursor.execute(
            "SELECT name FROM unnest(%s) AS name WHERE to_regclass(name) IS NULL", (list(self._tables),)
        )
        return [row["name"] for row in cursor.fetchall()]

    @contextmanager
    def transaction(self):
        """Yields a cursor; commits at the end, rolls back when anything is raised."""
        try:
            with self._cursor() as cursor:
                yield cursor
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as problem:
            log.error("the database failed", error=str(problem).strip())
            raise Failure(503, "database_unavailable", "The database does not answer.") from problem

    @contextmanager
    def _cursor(self):
        with self._slots:
            connection = self._take()
            try:
                with connection, connection.cursor(cursor_factory=RealDictCursor) as cursor:
                    yield cursor
            finally:
                if not connection.closed:
                    self._idle.append(connection)

    def _take(self):
        """An idle connection that still answers (the database may have been restarted), or a new one."""
        while self._idle:
            connection = self._idle.pop()
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
                return connection
            except psycopg2.Error:
                connection.close()
        return psycopg2.connect(self._url, connect_timeout=3, tcp_user_timeout=5000)
