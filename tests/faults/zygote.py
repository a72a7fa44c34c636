"""The process that every trial is a fork of: it has imported genser once, so no trial need.

A request is one line of JSON on stdin. Two lines answer it: the child's process id, and when the
child has ended, its status and the most memory that it had. One request at a time.
"""

import ctypes
import importlib
import json
import os
import pkgutil
import resource
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

LIMITS = {"FSIZE": resource.RLIMIT_FSIZE, "NOFILE": resource.RLIMIT_NOFILE}
PACKAGES = ("pipeline", "stages")
# What genser imports where it first needs it.
LATER = (
    "transformers.models.hubert.modeling_hubert",
    "transformers.models.llama.modeling_llama",
    "matplotlib.backends.backend_agg",
    "sklearn.linear_model",
    "faults.points",
)


def import_all() -> None:
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        for module in pkgutil.walk_packages(path, f"{package}."):
            importlib.import_module(module.name)
    for name in LATER:
        importlib.import_module(name)


def obey_permissions() -> None:
    """Make root a user like any other: what a folder's mode forbids is forbidden."""
    dac_override, dac_read_search = 1, 2  # linux/capability.h
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inherited, of two halves
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0 and libc.capget(header, sets) == 0:
        sets[0] &= ~(1 << dac_override | 1 << dac_read_search)
        libc.capset(header, sets)


def virtual_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def prepare(request: dict[str, Any]) -> None:
    """Make the fork a process of its own: folder, streams, signals, limits, points."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        mode = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(f"{request['told']}.{name}", mode, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(request["folder"].encode())  # bytes: a locale may know no such letters
    if request.get("obeys_permissions"):
        obey_permissions()
    from faults.points import watch

    watch(kill_at=request.get("point"), trace=request.get("trace"))
    for name, value in request.get("limits", {}).items():
        if name == "AS":  # beyond what the imports have taken
            resource.setrlimit(resource.RLIMIT_AS, (virtual_bytes() + value,) * 2)
        else:
            resource.setrlimit(LIMITS[name], (value, value))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python does: a write fails instead


def work(request: dict[str, Any]) -> None:
    """Run a command of genser, or a function that is spelled `module:name`."""
    if "call" in request:
        module, _, name = request["call"].partition(":")
        getattr(importlib.import_module(module), name)(*request["arguments"])
        return
    from stages.cli import run

    sys.argv = ["genser", *request["words"]]
    run()


def child(request: dict[str, Any]) -> None:
    code = 1
    try:
        prepare(request)
        work(request)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()  # type: ignore[attr-defined]  # as an interpreter does at its end
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    # Until `run` handles it, it ends a trial as it ends Python before any import; and tests may run
    # in a shell's background, where it is ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    import_all()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    answers.write(json.dumps({"ready": True}) + "\n")
    while line := sys.stdin.readline():
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            child(request)
        answers.write(json.dumps({"pid": pid}) + "\n")
        _, status, usage = os.wait4(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        answers.write(json.dumps({"code": code, "peak_kb": usage.ru_maxrss}) + "\n")


if __name__ == "__main__":
    main()
