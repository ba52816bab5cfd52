"""A program that runs a command isolated from this machine's network, files, user, host name and other processes.

`scripts._verify.sandbox` starts it as a separate process, because only a whole process with a single thread can enter
namespaces. It imports nothing but the standard library.

On Linux it needs no privileges: a user namespace maps the caller to another user, who may create the other namespaces.
Files created inside belong to the caller outside, so they can be read and removed. If user namespaces are refused, root
still gets the other ones, and really becomes another user if that user can read what it has to run.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# <linux/sched.h>, <linux/prctl.h>, <sys/mount.h>, <linux/sockios.h>, <linux/if.h>
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = (
    0x00020000,
    0x04000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
PR_SET_PDEATHSIG = 1
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


def main() -> None:
    """Isolate this process, report what could not be isolated, run the command, and exit with its exit code."""
    task = json.loads(sys.argv[1])
    _die_with_parent(task["parent"])
    refused = _isolate(task)
    _die_with_parent(task["parent"])  # again, because the kernel resets it when a process becomes another user
    with os.fdopen(task["report"], "w") as report:
        json.dump(refused, report)
    _exit_as(_fork(lambda: _init(task, refused)))


def _isolate(task: dict[str, Any]) -> dict[str, str]:
    """Enter the namespaces; return what was refused, with the reasons."""
    if not sys.platform.startswith("linux"):
        return dict.fromkeys(("network", "files", "user", "host name"), f"{sys.platform} has no namespaces")
    refused: dict[str, str] = {}
    if reason := _try_in_child(lambda: _enter_user(task["uid"])):
        refused["user"] = reason
    else:
        _enter_user(task["uid"])
    for what, flag in (("network", CLONE_NEWNET), ("host name", CLONE_NEWUTS), ("files", CLONE_NEWNS)):
        if reason := _enter(flag):
            refused[what] = reason
    if "files" not in refused:
        task["mounts"] = True  # in its own namespace; otherwise mounting would change this machine
        if reason := _try_in_child(lambda: _try_to_hide(task)):
            refused["files"] = reason
        else:
            _hide(task["hidden"], task["kept"])
    if "user" in refused and os.geteuid() == 0:
        if reason := _try_in_child(lambda: _become(task)):
            refused["user"] = f"{refused['user']}; as user {task['uid']}: {reason}"
        else:
            del refused["user"]
            task["become"] = True
    # last, because the kernel kills all processes with the first one that is forked after this; it is not essential
    _enter(CLONE_NEWPID)
    return refused


def _enter(flag: int) -> str | None:
    """Enter a namespace; return the reason if it is refused."""
    try:
        _call("unshare", flag)
    except OSError as error:
        return _reason(error.errno)
    return None


def _init(task: dict[str, Any], refused: dict[str, str]) -> None:
    """Be the first process in the namespace: when it ends, the kernel kills all others."""
    _die_with_parent()
    if sys.platform.startswith("linux"):
        if "network" not in refused:
            _raise_loopback()
        if "host name" not in refused:
            socket.sethostname(task["hostname"])
        if task.get("mounts"):
            _mount_proc()
    _exit_as(_fork(lambda: _run(task)))


def _run(task: dict[str, Any]) -> None:
    if task.get("become"):
        _become(task)
    _die_with_parent()  # only now, because the kernel resets it when a process becomes another user
    os.umask(task["umask"])
    os.chdir(task["cwd"])
    os.execve(task["command"][0], task["command"], task["env"])


def _enter_user(uid: int) -> None:
    """Become user `uid` in a new user namespace; outside of it the user stays the same."""
    outside_uid, outside_gid = os.geteuid(), os.getegid()
    _call("unshare", CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outside_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{uid} {outside_gid} 1")


def _try_to_hide(task: dict[str, Any]) -> None:
    """Hide the folders in a new namespace, and check that the command is still visible."""
    _call("unshare", CLONE_NEWNS)
    _hide(task["hidden"], task["kept"])
    for path in (task["command"][0], task["cwd"]):
        Path(path).stat()


def _hide(hidden: list[str], kept: list[str]) -> None:
    """Mount empty folders over the `hidden` ones, except for the paths in them that are `kept`."""
    os.umask(0o022)
    _call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    opened = {path: os.open(path, os.O_PATH) for path in kept}
    for path in hidden:
        _call("mount", b"none", os.fsencode(path), b"tmpfs", 0, b"mode=755")
    for path, descriptor in opened.items():
        if not any(Path(path).is_relative_to(folder) for folder in hidden):
            continue
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            Path(path).mkdir(parents=True, exist_ok=True)
        else:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).touch()
        _call("mount", os.fsencode(f"/proc/self/fd/{descriptor}"), os.fsencode(path), None, MS_BIND | MS_REC, None)
        os.close(descriptor)


def _become(task: dict[str, Any]) -> None:
    """Become another user for good, who must be able to read the interpreter and to write the build's files."""
    for path in (task["owned"], *(str(path) for path in Path(task["owned"]).rglob("*"))):
        os.chown(path, task["uid"], task["uid"])
    os.setgroups([])
    os.setresgid(task["uid"], task["uid"], task["uid"])
    os.setresuid(task["uid"], task["uid"], task["uid"])
    for path in (*task["readable"], task["cwd"]):
        Path(path).stat()


def _raise_loopback() -> None:
    """Start the loopback network of the namespace, through which workers of the build may talk to each other."""
    import fcntl

    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            request = struct.pack("16sh", b"lo", 0)
            flags = struct.unpack("16sh", fcntl.ioctl(control, SIOCGIFFLAGS, request))[1]
            fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | IFF_UP))
    except OSError:
        pass  # then there is no network at all


def _mount_proc() -> None:
    """Show only the processes of the namespace under /proc; containers often refuse this, and it is not essential."""
    try:
        _call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)  # invisible outside
        _call("mount", b"proc", b"/proc", b"proc", 0, None)
    except OSError:
        pass


def _die_with_parent(parent: int | None = None) -> None:
    """Make the kernel kill this process when its parent ends, for whatever reason."""
    expected = os.getppid() if parent is None else parent
    if sys.platform.startswith("linux"):
        _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != expected:  # it ended before the kernel was asked
        os._exit(128 + signal.SIGKILL)


def _fork(child: Callable[[], None]) -> int:
    """Run `child` in a new process, and return its status as `os.waitpid` does."""
    pid = os.fork()
    if not pid:
        try:
            child()
        except OSError as error:
            print(f"error: the sandbox cannot run its command: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(1)
    while True:
        ended, status = os.wait()  # the first process of a namespace also adopts orphans
        if ended == pid:
            return status


def _try_in_child(action: Callable[[], None]) -> str | None:
    """Run `action` in a process that then ends; return the reason if it fails."""
    pid = os.fork()
    if not pid:
        try:
            action()
        except OSError as error:
            os._exit(error.errno or 1)
        except BaseException:
            os._exit(255)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return _reason(code) if code else None


def _reason(code: int | None) -> str:
    if code == errno.ENOSPC:
        return "/proc/sys/user allows no more namespaces"
    return os.strerror(code or 0)


def _call(function: str, *arguments: Any) -> None:
    """Call a function of the C library that returns 0, or -1 and sets errno."""
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _exit_as(status: int) -> None:
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
