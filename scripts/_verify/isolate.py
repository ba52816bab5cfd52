"""A program: run a command apart from this machine's network, files, user, host name and other processes.

Started by `scripts._verify.sandbox` in a process of its own, because namespaces are entered by whole processes and by
single-threaded ones only. It reaches for nothing but the standard library.

On Linux it needs no rights: a user namespace maps the caller to another user, who may then have the other namespaces.
Files made inside belong to the caller outside, so that they can be read and removed. Where user namespaces are refused,
root still gets the others, and becomes another user for real if that one may read what it has to run.
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
    """Isolate, report what could not be, run the command, and end with its exit code."""
    task = json.loads(sys.argv[1])
    _die_with_parent(task["parent"])
    refused = _isolate(task)
    _die_with_parent(task["parent"])  # once more: a process that becomes another user forgets it
    with os.fdopen(task["report"], "w") as report:
        json.dump(refused, report)
    _exit_as(_fork(lambda: _init(task, refused)))


def _isolate(task: dict[str, Any]) -> dict[str, str]:
    """Enter the namespaces; what is refused comes back with the reason."""
    if not sys.platform.startswith("linux"):
        return dict.fromkeys(("network", "files", "user", "host name"), f"{sys.platform} has no namespaces")
    refused: dict[str, str] = {}
    if reason := _tried(lambda: _enter_user(task["uid"])):
        refused["user"] = reason
    else:
        _enter_user(task["uid"])
    for what, flag in (("network", CLONE_NEWNET), ("host name", CLONE_NEWUTS), ("files", CLONE_NEWNS)):
        if reason := _refusal(flag):
            refused[what] = reason
    if "files" not in refused:
        task["mounts"] = True  # its own: mounting anywhere else would change this machine
        if reason := _tried(lambda: _hide_anew(task)):
            refused["files"] = reason
        else:
            _hide(task["hidden"], task["kept"])
    if "user" in refused and os.geteuid() == 0:
        if reason := _tried(lambda: _become(task)):
            refused["user"] = f"{refused['user']}; as user {task['uid']}: {reason}"
        else:
            del refused["user"]
            task["become"] = True
    # last, because the first process after it is the one that the others end with; without it they end nearly as well
    _refusal(CLONE_NEWPID)
    return refused


def _refusal(flag: int) -> str | None:
    """Enter a namespace, and return why it was refused, None where it was not."""
    try:
        _call("unshare", flag)
    except OSError as error:
        return _reason(error.errno)
    return None


def _init(task: dict[str, Any], refused: dict[str, str]) -> None:
    """Be the first process in there: when it ends, the kernel ends all others."""
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
    _die_with_parent()  # not before, another user's process would forget it
    os.umask(task["umask"])
    os.chdir(task["cwd"])
    os.execve(task["command"][0], task["command"], task["env"])


def _enter_user(uid: int) -> None:
    """Be user `uid` in a new user namespace, and still oneself outside of it."""
    outside_uid, outside_gid = os.geteuid(), os.getegid()
    _call("unshare", CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outside_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{uid} {outside_gid} 1")


def _hide_anew(task: dict[str, Any]) -> None:
    """Hide what is to be hidden where nobody else sees it, and look whether the command is still there."""
    _call("unshare", CLONE_NEWNS)
    _hide(task["hidden"], task["kept"])
    for path in (task["command"][0], task["cwd"]):
        Path(path).stat()


def _hide(hidden: list[str], kept: list[str]) -> None:
    """Lay empty folders over those that are `hidden`, but for what is to be `kept` in them."""
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
    """Be another user for good, who must be able to read the interpreter and to write where the build goes."""
    for path in (task["owned"], *(str(path) for path in Path(task["owned"]).rglob("*"))):
        os.chown(path, task["uid"], task["uid"])
    os.setgroups([])
    os.setresgid(task["uid"], task["uid"], task["uid"])
    os.setresuid(task["uid"], task["uid"], task["uid"])
    for path in (*task["readable"], task["cwd"]):
        Path(path).stat()


def _raise_loopback() -> None:
    """A network of this machine's own, which leads nowhere: workers of one build may talk to each other through it."""
    import fcntl

    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            request = struct.pack("16sh", b"lo", 0)
            flags = struct.unpack("16sh", fcntl.ioctl(control, SIOCGIFFLAGS, request))[1]
            fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | IFF_UP))
    except OSError:
        pass  # then there is none at all


def _mount_proc() -> None:
    """Show the processes in here under /proc, not those outside; containers often refuse, and it is no loss."""
    try:
        _call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)  # of use for nobody outside
        _call("mount", b"proc", b"/proc", b"proc", 0, None)
    except OSError:
        pass


def _die_with_parent(parent: int | None = None) -> None:
    """Have the kernel kill this process when the one that started it ends, however that ends."""
    expected = os.getppid() if parent is None else parent
    if sys.platform.startswith("linux"):
        _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != expected:  # it ended before the kernel was asked
        os._exit(128 + signal.SIGKILL)


def _fork(child: Callable[[], None]) -> int:
    """Run `child` in a new process, and return how it ended, as `os.waitpid` says it."""
    pid = os.fork()
    if not pid:
        try:
            child()
        except OSError as error:
            print(f"error: the sandbox cannot run its command: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(1)
    while True:
        ended, status = os.wait()  # of an init's adopted children too
        if ended == pid:
            return status


def _tried(action: Callable[[], None]) -> str | None:
    """Do something in a process that ends thereafter, and return why it failed, None where it did not."""
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
    """Call a function of the C library that returns 0, or -1 and an errno."""
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _exit_as(status: int) -> None:
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
