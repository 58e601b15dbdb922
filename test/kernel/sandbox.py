# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine within the machine: own network, mount and process namespaces, in which a test or the demo may be root.

enter() goes on in it. /run is a private tmpfs there, so that named namespaces, sockets and files of a run live and die
with it; when the first process of the sandbox ends, the kernel ends all the others. Nothing is done to the network of
the machine itself."""

import ctypes
import os
import signal
import subprocess
import sys

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x20000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 4096, 16384, 1 << 18, 2
PR_SET_PDEATHSIG = 1
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


def fork(outlive=False):
    """Forks into a new sandbox. The parent gets the child's process id; the child (0) is the sandbox's first process,
    and dies with the parent unless it is to outlive it."""
    if os.geteuid() != 0:
        sys.exit("namespaces need root")
    sys.stdout.flush()
    sys.stderr.flush()
    check(libc.unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET), "unshare")
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    parent, child = os.getpid(), os.fork()
    if child:
        return child
    if not outlive:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    mount("proc", "/proc", "proc")
    mount("run", "/run", "tmpfs")
    os.mkdir("/run/netns")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.environ[MARK] = str(parent)
    return 0


def enter(argv):
    """Ends this process as argv ends, which runs in a sandbox."""
    child = fork()
    if child == 0:
        os.execvp(argv[0], argv)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells the child too
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xff)
