#!/usr/bin/env python3
"""How fast data is saved, restored, reset and exported: 1 GB of a PostgreSQL made by pgbench, and 100,000 small files.

Usage: bash scripts/with-tools.sh python3 benches/data.py [ROUNDS] [DEVENV] [auto|directory]
Prints rows of Markdown: medians of ROUNDS (3), beside what the usual tools take for the same on the same disk, in turns.
With `directory` the volumes are kept in a plain directory of the host. Rows are counted and `pg_amcheck` run after every
restore. The project, its cluster and its data are removed at the end.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 3
DEVENV = sys.argv[2] if len(sys.argv) > 2 else str(ROOT / "target/e2e/devenv")
STORE = sys.argv[3] if len(sys.argv) > 3 else "auto"
# 15 MB each.
SCALE = 68
FILES = 100_000
# How long ext4 avoids inodes that were freed, in seconds, if they were not on disk yet.
INODES_FREED = 40
VOLUMES = "/var/lib/devenv/volumes"
PG = ["exec", "db", "--no-tty", "--", "setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "env", "PGHOST=/run/postgresql", "PGUSER=shop"]

MANIFEST = """apiVersion: devenv/v1
name: data-bench
cluster: { ports: { http: 18490, https: 18491 }, registry: { port: 15061 } }
services:
  db:
    build: postgres
    volumes: [{ name: data, path: /var/lib/postgresql/data, size: 8Gi }]
    ports: [5432]
    ready: { command: [pg_isready, -h, /run/postgresql, -U, shop], within: 2m }
  files:
    build: files
    command: [sleep, infinity]
    volumes: [{ name: data, path: /data, size: 1Gi }]
"""
DATASET = """snapshot: db-0
steps:
  - { service: db, command: [psql, -h, /run/postgresql, -U, shop, -c, analyze pgbench_branches] }
check:
  - { service: db, command: [psql, -h, /run/postgresql, -U, shop, -Atc, select count(*) from pgbench_branches], equals: SCALE }
"""
MAKE_FILES = f"""
my $made = 0;
for my $directory (0 .. 99) {{
    mkdir "/data/$directory";
    for my $file (0 .. {FILES // 100 - 1}) {{
        open my $out, ">", "/data/$directory/$file" or die;
        print $out "file $made\\n" x (1 + $made % 64);
        close $out;
        $made++;
    }}
}}
"""


class Bench:
    def __init__(self, directory):
        self.directory = Path(directory)
        self.project = self.directory / "project"
        home = self.directory / "home"
        self.project.mkdir()
        home.mkdir()
        shutil.copytree(ROOT / "examples/shop/postgres", self.project / "postgres")
        (self.project / "files").mkdir()
        (self.project / "files/Dockerfile").write_text("FROM debian:bookworm-slim\nCOPY make.pl /\n")
        (self.project / "files/make.pl").write_text(MAKE_FILES)
        (self.project / "devenv.yaml").write_text(MANIFEST)
        config = Path(os.environ.get("DEVENV_CONFIG", "/dev/null")).read_text()
        (home / "config.yaml").write_text(f"{config}\nvolumes: {STORE}\n")
        self.environment = {**os.environ, "HOME": str(home), "DEVENV_CONFIG": str(home / "config.yaml")}
        for name in ("XDG_STATE_HOME", "XDG_DATA_HOME"):
            self.environment.pop(name, None)

    def devenv(self, *words):
        run = subprocess.run([DEVENV, *words], cwd=self.project, env=self.environment, capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"devenv {' '.join(words)}: {run.returncode}\n{run.stdout}\n{run.stderr}")
        return run.stdout

    def json(self, *words):
        return json.loads(self.devenv(*words, "-o", "json"))

    def node(self):
        return "k3d-" + self.json("status")["cluster"] + "-server-0"

    def in_node(self, script):
        run = subprocess.run(["docker", "exec", self.node_name, "sh", "-ec", script], capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"{script}: {run.stderr}")
        return run.stdout

    def seconds_in_node(self, script):
        clock = "read -r up _ < /proc/uptime; echo $up"
        began, ended = self.in_node(f"{clock}; {{ {script}; }} >&2; {clock}").split()
        return float(ended) - float(began)

    def postgres(self, *words):
        return self.devenv(*PG, *words)

    def rows(self):
        tables = ["pgbench_accounts", "pgbench_branches", "pgbench_tellers", "pgbench_history"]
        query = " union all ".join(f"select count(*) from {table}" for table in tables)
        return self.postgres("psql", "-At", "shop", "-c", query).split()


def timed(work):
    began = time.monotonic()
    work()
    return time.monotonic() - began


def row(what, seconds, beside=None):
    text = f"{statistics.median(seconds):.2f}"
    spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
    other = "" if beside is None else f"{beside[0]}: {statistics.median(beside[1]):.2f}"
    ratio = "" if beside is None else f"{statistics.median(seconds) / statistics.median(beside[1]):.2f}"
    print(f"| {what} | {text} | {spread} | {other} | {ratio} |", flush=True)


def saves(bench, service):
    """Saves, and copies with `cp -a` and `sync`, in turns. Gives what the copies took."""
    took, stood, by_cp = [], [], []
    for number in range(ROUNDS):
        bench.in_node("sync")
        saved = bench.json("snapshot", "save", f"{service}-{number}", "--services", service)
        took.append(saved["totalSeconds"])
        stood.append(saved["stoodSeconds"])
        bench.in_node("sync")
        by_cp.append(bench.seconds_in_node(f"cp -a --reflink=never {VOLUMES}/{service}/data {VOLUMES}/.by-cp-{number} && sync"))
    # Not in between: ext4 is slow to give out inodes that were freed just before, whoever asks for the next ones.
    bench.in_node(f"rm -rf {VOLUMES}/.by-cp-* && sync")
    row(f"save {service}", took, ("cp -a, sync", by_cp))
    row(f"{service} stands", stood)
    return by_cp


def database(bench):
    bench.postgres("pgbench", "-q", "-i", "-s", str(SCALE), "shop")
    bench.postgres("psql", "-q", "shop", "-c", "checkpoint")
    size = bench.in_node(f"du -sm {VOLUMES}/db/data").split()[0]
    rows = bench.rows()
    print(f"\nPostgreSQL: {size} MiB, rows {rows}\n\n| what | s | from, to | beside | ratio |\n| --- | --- | --- | --- | --- |", flush=True)
    saves(bench, "db")
    dump = "/var/lib/postgresql/data/dump"
    bench.postgres("pg_dump", "-Fd", "-j2", "-Z1", "-f", dump, "shop")
    dataset = bench.project / "datasets/pgbench"
    dataset.mkdir(parents=True)
    (dataset / "dataset.yaml").write_text(DATASET.replace("SCALE", str(SCALE)))
    restored, reset, by_pg = [], [], []
    for _ in range(ROUNDS):
        bench.postgres("psql", "-q", "shop", "-c", "drop table if exists pgbench_history")
        restored.append(timed(lambda: bench.devenv("snapshot", "restore", "db-0", "--yes")))
        assert bench.rows() == rows, bench.rows()
        bench.postgres("pg_amcheck", "--install-missing", "shop")
        bench.postgres("psql", "-q", "shop", "-c", "drop table pgbench_history")
        reset.append(timed(lambda: bench.devenv("data", "reset", "--to", "pgbench", "--no-backup", "--yes")))
        assert bench.rows() == rows, bench.rows()
        bench.postgres("psql", "-q", "postgres", "-c", "drop database if exists again", "-c", "create database again")
        bench.postgres("pg_dump", "-Fd", "-j2", "-Z1", "-f", dump, "shop")
        by_pg.append(timed(lambda: bench.postgres("pg_restore", "-j2", "-d", "again", dump)))
        bench.postgres("rm", "-rf", dump)
        bench.postgres("psql", "-q", "postgres", "-c", "drop database again")
    row("restore db until it is ready", restored, ("pg_restore -j2", by_pg))
    row("reset db to a dataset", reset, ("pg_restore -j2", by_pg))
    archives(bench)


def archives(bench):
    exported, by_tar, verified, imported = [], [], [], []
    archive = bench.directory / "db.tar.zst"
    described = next((bench.directory / "home/.local/share/devenv").glob("*/snapshots/db-0.json"))
    held = json.loads(described.read_text())["id"]
    for number in range(ROUNDS):
        exported.append(timed(lambda: bench.devenv("snapshot", "export", "db-0", str(archive))))
        other = bench.directory / "by-tar.tar.zst"
        tar = f"docker exec {bench.node_name} tar -C {VOLUMES}/.snapshots/{held} -cf - . | zstd -q -1 -T2 -f -o {other} && sync {other}"
        by_tar.append(timed(lambda: subprocess.run(tar, shell=True, check=True)))
        other.unlink()
        verified.append(timed(lambda: bench.devenv("snapshot", "verify", "--archive", str(archive))))
        imported.append(timed(lambda: bench.devenv("snapshot", "import", str(archive), "--name", f"imported-{number}")))
        bench.devenv("snapshot", "remove", f"imported-{number}", "--yes")
        archive.unlink()
    row("export", exported, ("tar, zstd -1 -T2, sync", by_tar))
    row("verify the archive", verified)
    row("import", imported)


def files(bench):
    bench.devenv("exec", "files", "--", "perl", "/make.pl")
    print(f"\n{FILES} files\n\n| what | s | from, to | beside | ratio |\n| --- | --- | --- | --- | --- |", flush=True)
    by_cp = saves(bench, "files")
    restored = []
    for _ in range(ROUNDS):
        # A restore frees as many inodes as it asks for.
        time.sleep(INODES_FREED)
        restored.append(timed(lambda: bench.devenv("snapshot", "restore", "files-0", "--yes")))
    row("restore files", restored, ("cp -a, sync", by_cp))
    bench.devenv("snapshot", "verify", "files-0")


def main():
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(directory)
        try:
            bench.devenv("up")
            bench.node_name = bench.node()
            print(bench.devenv("status").splitlines()[1])
            database(bench)
            for number in range(ROUNDS):
                bench.devenv("snapshot", "remove", f"db-{number}", "--yes")
            files(bench)
        finally:
            subprocess.run([DEVENV, "down", "--volumes", "--yes"], cwd=bench.project, env=bench.environment, check=False)


main()
