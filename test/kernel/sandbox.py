# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine within the machine: own network, mount and process namespaces, in which a test or the demo may be root.

enter() runs a program in it. /run is a private tmpfs there, so that named namespaces, sockets and files of a run live
and die with it; when the first process of the sandbox ends, the kernel ends all the others. Nothing is done to the
network of the machine itself."""

import ctypes
import os
import subprocess
import sys

CLONE_NEWNET = 0x40000000
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 4096, 16384, 1 << 18, 2
MARK = "L3AGENT_SANDBOX"

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def mount(source, target, kind=None, flags=0):
    enc = [text.encode() if text else None for text in (source, target, kind)]
    check(libc.mount(*enc, ctypes.c_ulong(flags), None), f"mount {target}")


def unmount(target):
    check(libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def setns(fd):
    """Moves the calling thread."""
    check(libc.setns(fd, CLONE_NEWNET), "setns")


def unshare_net():
    check(libc.unshare(CLONE_NEWNET), "unshare")


def current_net():
    """An fd of the calling thread's network namespace."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def inside():
    return MARK in os.environ


def command(argv):
    """The command line that runs argv as the first process of a new sandbox."""
    return ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private",
            sys.executable, os.path.abspath(__file__), *argv]


def enter(argv):
    """Replaces this process by argv in a new sandbox."""
    if os.geteuid() != 0:
        sys.exit("namespaces need root")
    sys.stdout.flush()
    sys.stderr.flush()
    line = command(argv)
    os.execvp(line[0], line)


def furnish():
    """What a sandbox has from the start: an empty /run and a loopback device that is up."""
    mount("run", "/run", "tmpfs")
    os.mkdir("/run/netns")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


if __name__ == "__main__":
    furnish()
    os.environ[MARK] = "1"
    os.execvp(sys.argv[1], sys.argv[1:])
