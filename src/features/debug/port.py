# With a port: ends with 0 if somebody in this container listens on it. With a command behind it: has the port free, and then
# becomes that command. The helper of a debugpy that was ended has it as long as a debugger is attached to it.
import os
import signal
import sys
import time

port, command = int(sys.argv[1]), sys.argv[2:]


def listeners():
    """The names of the sockets that listen on the port."""
    names = set()
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(path) as table:
                rows = [row.split() for row in table][1:]
        except OSError:
            continue
        on_port = (row for row in rows if int(row[1].rsplit(":")[-1], 16) == port)
        names.update("socket:[%s]" % row[9] for row in on_port if row[3] == "0A")
    return names


def end(names):
    """Ends whoever has one of these sockets."""
    for process in filter(str.isdigit, os.listdir("/proc")):
        files = "/proc/%s/fd" % process
        try:
            if any(os.readlink(os.path.join(files, file)) in names for file in os.listdir(files)):
                os.kill(int(process), signal.SIGKILL)
        except OSError:
            continue


if not command:
    sys.exit(0 if listeners() else 1)
begun = time.monotonic()
while listeners() and time.monotonic() < begun + 5:
    # At first it tells its debugger that the process has ended.
    if time.monotonic() > begun + 0.3:
        end(listeners())
    time.sleep(0.02)
os.execvp(command[0], command)
