# SPDX-License-Identifier: GPL-3.0-or-later
"""`./run demo [--keep]`: two routers from the files in demo/routers.d, their guests, and real packets, in a sandbox
that leaves no trace. Exit status 1 if anything does not come back as it should."""

import os
import shutil
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "test", "kernel"))

import sandbox  # noqa: E402

PICTURE = """
              outside  203.0.113.1 · 198.51.100.99 · 2001:db8:ff::1
                                    │ br-ex
              ┌─────────────────────┴──────────────────────┐
     router web  203.0.113.10                 router office  203.0.113.11
      │ 10.0.0.1          │ 10.1.0.1                       │ 10.0.0.1
   ┌──┴───────┐           │                                │
  ada 10.0.0.5 bob .6    cleo 10.1.0.7, 2001:db8:b::7     dan 10.0.0.5
"""
OUTSIDE, BEYOND, OUTSIDE6 = "203.0.113.1", "198.51.100.99", "2001:db8:ff::1"


class Show:
    """The rows of the table, printed at the end."""

    def __init__(self):
        self.rows = []

    def row(self, what, sent, back, good):
        self.rows.append((what, sent, back, good))
        print(f"  {what} …" + ("" if good is None else " ok" if good else " FAILED"), flush=True)

    def attempt(self, what, sent, act):
        """act() gives (what came back, whether that is right)."""
        try:
            self.row(what, sent, *act())
        except OSError as error:
            self.row(what, sent, str(error), False)

    def table(self):
        heads = ("", "sent", "came back", "result")
        cells = [heads] + [(w, s, b, "not yet" if g is None else "ok" if g else "FAILED") for w, s, b, g in self.rows]
        width = [max(len(row[i]) for row in cells) for i in range(3)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, width)) + "  " + row[3] for row in cells]
        lines.insert(1, "─" * max(map(len, lines)))
        return "\n" + "\n".join(lines) + "\n"

    def failed(self):
        return sum(good is False for *_, good in self.rows)


def build_site(lab):
    for bridge, network in (("br-ex", "public"), ("br-blue", "blue"), ("br-green", "green"), ("br-red", "red")):
        lab.bridge(bridge, network)
    outside = lab.host("outside", "br-ex", f"{OUTSIDE}/24", f"{OUTSIDE6}/64", beyond=[f"{BEYOND}/32"])
    outside.ip("-6 route add 2001:db8:b::/64 via 2001:db8:ff::10")
    lab.host("ada", "br-blue", "10.0.0.5/24", gateway="10.0.0.1")
    lab.host("bob", "br-blue", "10.0.0.6/24", gateway="10.0.0.1")
    lab.host("cleo", "br-green", "10.1.0.7/24", "2001:db8:b::7/64", gateway=["10.1.0.1", "2001:db8:b::1"])
    lab.host("dan", "br-red", "10.0.0.5/24", gateway="10.0.0.1")
    for name, host in lab.hosts.items():
        lab.serve(host, 7)
    lab.serve(lab.hosts["bob"], 22)
    for name in os.listdir(os.path.join(HERE, "routers.d")):
        shutil.copy(os.path.join(HERE, "routers.d", name), lab.files)


def talk(client, address, port, server, seen):
    """A TCP connection to an echo server: who answered, and which address it saw."""
    connection = client.talk(address, port, within=3)
    connection.close()
    good = (connection.server, connection.seen) == (server, seen)
    return f"{connection.server} saw {connection.seen}", good


def overlap(ada, dan):
    both = [guest.talk(BEYOND, 7, source_port=4000, within=3) for guest in (ada, dan)]
    good = [c.seen for c in both] == ["203.0.113.20", "203.0.113.11"] and all(c.alive() for c in both)
    return f"outside saw {both[0].seen} and .{both[1].seen.rpartition('.')[2]}", good


def floating_ip_live(lab, outside):
    from packets import until

    probe = outside.probe("203.0.113.22", every=0.001)
    time.sleep(0.1)
    start = time.monotonic()
    lab.ctl("floatingip", "add", "web", "203.0.113.22", "10.1.0.7")
    done = time.monotonic()
    first = until(lambda: probe.first, 3, every=0.0005)
    probe.lost()
    if not first:
        return "no answer", False
    return f"first ping after {(first - start) * 1e3:.0f} ms (command: {(done - start) * 1e3:.0f} ms)", True


def kill_under_ping(lab, outside, ada, bob, cleo):
    probes = [bob.probe(BEYOND), outside.probe("203.0.113.20"), cleo.probe("10.0.0.5")]
    time.sleep(0.5)
    lab.kill()
    time.sleep(0.5)
    lab.start()
    time.sleep(0.3)
    lost = [len(probe.lost()) for probe in probes]
    writes = lab.status()["last_sync"]["writes"]
    return f"lost {sum(lost)} of {sum(p.sent for p in probes)}; restart wrote {writes}", not any(lost) and writes == 0


def perform(lab, show):
    outside, ada, bob, cleo, dan = (lab.hosts[name] for name in ("outside", "ada", "bob", "cleo", "dan"))
    for guest in (ada, bob, cleo, dan):
        guest.ping(OUTSIDE)  # the first packet waits for ARP and for bridge ports to come up
    show.attempt("SNAT", f"bob → {BEYOND}", lambda: talk(bob, BEYOND, 7, "outside", "203.0.113.10"))
    show.attempt("floating IP, inward", "outside → 203.0.113.20",
                 lambda: talk(outside, "203.0.113.20", 7, "ada", OUTSIDE))
    show.attempt("floating IP, outward", f"ada → {BEYOND}", lambda: talk(ada, BEYOND, 7, "outside", "203.0.113.20"))
    show.attempt("port forwarding", "outside → 203.0.113.21:2222",
                 lambda: talk(outside, "203.0.113.21", 2222, "bob", OUTSIDE))
    show.attempt("east-west", "cleo → 10.0.0.5", lambda: talk(cleo, "10.0.0.5", 7, "ada", "10.1.0.7"))
    show.attempt("hairpin", "bob → 203.0.113.20", lambda: talk(bob, "203.0.113.20", 7, "ada", "203.0.113.10"))
    show.attempt("same address twice", f"ada, dan → {BEYOND}", lambda: overlap(ada, dan))
    show.attempt("IPv6", f"cleo → {OUTSIDE6}", lambda: talk(cleo, OUTSIDE6, 7, "outside", "2001:db8:b::7"))
    show.attempt("floating IP, live", "l3ctl floatingip add web …", lambda: floating_ip_live(lab, outside))
    show.attempt("daemon killed (-9)", "3 pings every 10 ms", lambda: kill_under_ping(lab, outside, ada, bob, cleo))
    show.row("IPv6 from our RA", "", "", None)
    show.row("metadata", "", "", None)


def inside():
    """The demo itself, as the first process of its sandbox: the Lab, which stays open, and the exit status."""
    from lab import Lab

    print("A sandbox: network, mount and process namespaces of its own, documentation addresses.\n" + PICTURE)
    lab, show = Lab(), Show()
    lab.settings.update(run_dir="/run/l3agent", host="demo")
    build_site(lab)
    start = time.monotonic()
    lab.start()
    sync = lab.status()["last_sync"]
    print(f"l3agentd is up after {(time.monotonic() - start) * 1e3:.0f} ms: {sync['routers']} routers in sync, "
          f"{sync['writes']} writes to the kernel\n")
    perform(lab, show)
    print(show.table())
    if show.failed():
        print(f"{show.failed()} of {len(show.rows)} rows failed. The daemon's log ends with:\n{lab.log()[-3000:]}")
    sys.stdout.flush()
    return lab, 1 if show.failed() else 0


def hold():
    """Stays as the sandbox's first process until it is told to end; the echo servers live in it."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    while True:
        signal.pause()


def main():
    keep = sys.argv[1:] == ["--keep"]
    if sys.argv[1:] and not keep:
        sys.exit("usage: ./run demo [--keep]")
    told, tell = os.pipe()
    child = sandbox.fork(outlive=keep)
    if child == 0:
        lab, status = inside()
        if keep:
            os.write(tell, f"{status} {lab.files}".encode())
            os.close(tell)
            hold()
        lab.close()
        os._exit(status)
    os.close(tell)
    try:
        report = os.read(told, 4096).decode()
    except KeyboardInterrupt:
        os.kill(child, signal.SIGKILL)
        sys.exit(130)
    if not report:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xff)
    status, files = report.split(" ", 1)
    top = os.path.dirname(HERE)
    print(f"""It is left standing.  Enter:   nsenter -t {child} -a --wd={top} bash
                      Remove:  kill {child}
Inside:
  build/l3ctl status                                          ip netns exec bob ping {BEYOND}
  build/l3ctl show web                                        ip netns
  build/l3ctl floatingip add web 203.0.113.23 10.0.0.6        ls {files}""")
    sys.exit(int(status))


if __name__ == "__main__":
    main()
