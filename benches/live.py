#!/usr/bin/env python3
"""From an edit of the example shop until the new code answers through the ingress, on a copy of it and a real cluster.

Usage: bash scripts/with-tools.sh python3 benches/live.py [EDITS] [DEVENV]
Prints rows of Markdown: medians and 95th percentiles of EDITS (50). Every edit writes another text, and counts once the
service answers with just that text. The next one follows after a pause, as nobody saves ten times in a second. What does
not answer soon is asked again: the ingress may wait for a pod that was replaced. The copy, its cluster and its data are
removed at the end.
"""

import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EDITS = int(sys.argv[1]) if len(sys.argv) > 1 else 50
DEVENV = sys.argv[2] if len(sys.argv) > 2 else str(ROOT / "target/e2e/devenv")
PORT = 18480
PATIENCE = 120.0
# Seconds between an answer and the next edit, at least and at most: not in step with anything.
PAUSE = (0.3, 1.2)
# Seconds between two questions, and until one is given up.
ASK_EVERY = 0.005
ANSWERS_WITHIN = 0.5
# Seconds for which a session is looked at that has nothing to do.
IDLE = 20.0

# What an edit changes: the answer to the question whether the service is well.
PYTHON = ("src/kit/server.py", '{"status": "ok"}', '{"status": "ok", "edit": "EDIT"}')
NODE = ("src/kit/server.js", "status: 'ok'", "status: 'ok', edit: 'EDIT'")
GO = ("api.go", '"status": "ok"', '"status": "ok", "edit": "EDIT"')


class Shop:
    """A copy of the shop, with addresses of their own for the services that are measured."""

    def __init__(self, directory):
        self.directory = Path(directory)
        shutil.copytree(ROOT / "examples/shop", self.directory / "examples/shop")
        manifest = (ROOT / "devenv.example.yaml").read_text()
        for old, new in [
            ("name: shop", "name: live-bench"),
            ("{ http: 8080, https: 8443 }", f"{{ http: {PORT}, https: 18443 }}"),
            ("registry: { port: 5050 }", "registry: { port: 15051 }"),
            # The page's files are read at every request.
            ("      sync: [src:/app/src, public:/app/public]\n", "      sync: [src:/app/src, public:/app/public]\n      onChange: none\n"),
        ]:
            assert old in manifest, old
            manifest = manifest.replace(old, new, 1)
        for service in ("user", "recommendation-api", "inventory"):
            key = f"  {service}:\n"
            manifest = manifest.replace(key, f"{key}    expose: {service}.localhost\n", 1)
        self.write("devenv.yaml", manifest)

    def path(self, name):
        return self.directory / name

    def write(self, name, text):
        self.path(name).write_text(text)

    def devenv(self, *words):
        ran = subprocess.run([DEVENV, *words], cwd=self.directory, capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            sys.exit(f"devenv {' '.join(words)}: {ran.stdout}{ran.stderr}")
        return ran.stdout


def answer(host, path):
    """What the ingress answers; nothing where it does not answer with 200."""
    try:
        with socket.create_connection(("127.0.0.1", PORT), timeout=ANSWERS_WITHIN) as stream:
            stream.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            parts = []
            while part := stream.recv(65536):
                parts.append(part)
    except OSError:
        return ""
    text = b"".join(parts).decode(errors="replace")
    return text if text.startswith("HTTP/1.1 200") else ""


def until_answers(host, path, text):
    began = time.monotonic()
    while text not in answer(host, path):
        if time.monotonic() - began > PATIENCE:
            sys.exit(f"{host}{path} never answered {text}: {answer(host, path)}")
        time.sleep(ASK_EVERY)
    return (time.monotonic() - began) * 1000


def edits(shop, service, edit, host, path, count):
    """Milliseconds of each edit."""
    name, old, new = edit
    file = shop.path(f"examples/shop/{service}/{name}")
    pristine = ROOT / "examples/shop" / service / name
    original = pristine.read_text() if pristine.exists() else old
    assert old in original, f"{pristine} has no {old}"
    times = []
    for number in range(count + 2):
        mark = f"edit-{os.getpid()}-{number}-of-{service}"
        file.write_text(original.replace(old, new.replace("EDIT", mark), 1))
        times.append(until_answers(host, path, mark))
        time.sleep(random.uniform(*PAUSE))
    # The first ones find what they need for the first time.
    return times[2:]


def row(what, times, command="benches/live.py"):
    times = sorted(times)
    slow = times[min(len(times) - 1, len(times) * 95 // 100)]
    unit = (1000, "s", 1) if statistics.median(times) >= 2000 else (1, "ms", 0)
    middle, slow = (f"{value / unit[0]:.{unit[2]}f} {unit[1]}" for value in (statistics.median(times), slow))
    print(f"| {what} | {middle}, 95 % {slow} ({len(times)} edits) | `{command}` |", flush=True)


def by_hand(shop, kubeconfig, count):
    """Milliseconds of a copy of one file by kubectl exec and tar."""
    kubectl = ["kubectl", "--kubeconfig", kubeconfig]
    pods = subprocess.run([*kubectl, "get", "pods", "-o", "name"], capture_output=True, text=True, check=True).stdout
    pod = next(line for line in pods.split() if line.startswith("pod/web-"))
    command = f"tar cf - -C {shop.path('examples/shop/web/public')} bench.css | {' '.join(kubectl)} exec -i {pod} -- tar xf - -C /tmp"
    times = []
    for _ in range(count):
        began = time.monotonic()
        subprocess.run(["sh", "-c", command], check=True)
        times.append((time.monotonic() - began) * 1000)
    return times


def in_container(shop, service, count):
    """Milliseconds from an edit until its bytes were in the containers, as the session timed its last edits."""
    state = Path(shop.devenv("kubeconfig").strip()).parent
    done = []
    for line in (state / "live.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "done" and event.get("service") == service:
            done.append(event["totalMillis"])
    return done[-count:]


def compiled_on_this_machine(shop):
    manifest = shop.path("devenv.yaml").read_text()
    old = 'rebuild: [Dockerfile, "*.go", go.mod, go.sum]\n      ignore: ["*_test.go"]'
    assert old in manifest
    new = (
        'rebuild: [Dockerfile]\n      ignore: ["*_test.go"]\n'
        '      build: { command: [env, CGO_ENABLED=0, go, build, -o, out/inventory, .], on: ["*.go", go.mod], directory: . }\n'
        "      sync: [{ from: out/inventory, to: /inventory }]"
    )
    directory = shop.path("examples/shop/inventory")
    subprocess.run(["env", "CGO_ENABLED=0", "go", "build", "-o", "out/inventory", "."], cwd=directory, check=True)
    shop.write("devenv.yaml", manifest.replace(old, new, 1))


def idle(shop):
    """What the session and its agents cost while nothing happens."""
    session = json.loads(shop.devenv("session", "status", "-o", "json"))["pid"]
    time.sleep(max(PAUSE))
    ticks = os.sysconf("SC_CLK_TCK")

    def used():
        fields = Path(f"/proc/{session}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / ticks

    before = used()
    time.sleep(IDLE)
    percent = (used() - before) / IDLE * 100
    status = dict(line.split(":", 1) for line in Path(f"/proc/{session}/status").read_text().splitlines())
    memory = int(status["VmRSS"].split()[0]) / 1024
    print(f"| a session beside the idle shop | {percent:.2f} % of a core, {memory:.0f} MiB | `benches/live.py` |", flush=True)


def measure(shop):
    shop.devenv("up")
    idle(shop)
    static = edits(shop, "web", ("public/bench.css", "EDIT", "EDIT"), "shop.localhost", "/static/bench.css", EDITS)
    row("a static file, until it is served", static)
    row("the same, until its bytes are in the container", in_container(shop, "web", EDITS))
    kubeconfig = shop.devenv("kubeconfig").strip()
    row("the same by `kubectl exec` and `tar`", by_hand(shop, kubeconfig, EDITS), "kubectl exec -i POD -- tar xf -")
    row("Python with a restart", edits(shop, "user", PYTHON, "user.localhost", "/healthz", EDITS))
    row("Node with a restart", edits(shop, "recommendation-api", NODE, "recommendation-api.localhost", "/healthz", EDITS))
    row("Go through its image", edits(shop, "inventory", GO, "inventory.localhost", "/healthz", EDITS))
    compiled_on_this_machine(shop)
    shop.devenv("up")
    row("Go built on this machine and synced", edits(shop, "inventory", GO, "inventory.localhost", "/healthz", EDITS))


def main():
    with tempfile.TemporaryDirectory() as directory:
        shop = Shop(directory)
        try:
            measure(shop)
        finally:
            shop.devenv("down", "--volumes", "--yes")


main()
