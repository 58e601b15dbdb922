# SPDX-License-Identifier: GPL-3.0-or-later
"""A small data centre in one sandbox: bridges, guests, an outside host, router files, and the daemon under test.

Each Lab has a network namespace of its own as the machine's root, and an empty /run/netns. Everything that the daemon
does is looked at from outside, with ip, nft, conntrack and packets."""

import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

import yaml

import sandbox
from packets import Capture, Flood, Probe, Servers, Talk, arp, ask, ping, until

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("L3AGENT_BUILD", "build"))
SANITIZED = "asan" in os.path.basename(BUILD)


def patience(seconds):
    """The time that something may take here: more with sanitizers."""
    return seconds * (5 if SANITIZED else 1)


class Namespace:
    """A network namespace. `with ns:` moves this thread into it; sockets and processes born then belong to it."""

    def __init__(self, fd, name="root"):
        self.fd, self.name, self.back = fd, name, []

    def __enter__(self):
        self.back.append(sandbox.current_net())
        sandbox.setns(self.fd)
        return self

    def __exit__(self, *_):
        fd = self.back.pop()
        sandbox.setns(fd)
        os.close(fd)

    def close(self):
        os.close(self.fd)

    def run(self, *argv, text=None, check=True):
        """Standard output of a program that runs in here."""
        with self:
            done = subprocess.run(argv, input=text, capture_output=True, text=True)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
        return done.stdout

    def ip(self, line, check=True):
        return self.run("ip", *line.split(), check=check)

    def batch(self, *lines):
        self.run("ip", "-batch", "-", text="\n".join(lines) + "\n")

    def json(self, *argv):
        return json.loads(self.run(*argv) or "[]")

    def sysctl(self, key, value=None):
        path = "/proc/sys/" + (key if "/" in key else key.replace(".", "/"))
        with self, open(path, "r" if value is None else "w") as file:
            return file.read().strip() if value is None else file.write(str(value))

    def links(self):
        """{name: what ip tells of it}"""
        return {link["ifname"]: link for link in self.json("ip", "-j", "-d", "link") if "ifname" in link}

    def mac(self, dev):
        return self.json("ip", "-j", "link", "show", "dev", dev)[0]["address"]

    def addresses(self, dev=None, lengths=False):
        """Addresses of global scope, IPv4 first; with lengths as 10.0.0.1/24."""
        found = self.json("ip", "-j", "addr", *(("show", "dev", dev) if dev else ()))
        return [f"{a['local']}/{a['prefixlen']}" if lengths else a["local"]
                for link in found if link.get("ifname") != "lo" for a in link.get("addr_info", ())
                if a["scope"] == "global"]

    def device(self, address):
        """The name of the device that has this address; None."""
        for link in self.json("ip", "-j", "addr"):
            if any(a["local"] == address for a in link.get("addr_info", ())):
                return link["ifname"]
        return None

    def routes(self, what="", family=4):
        return self.json("ip", "-j", "-d", f"-{family}", "route", "show", *what.split())

    def conntrack(self, *match):
        """The flows of both families that match, a line each."""
        return [line for family in ("ipv4", "ipv6")
                for line in self.run("conntrack", "-L", "-f", family, *match, check=False).splitlines()]

    def nft(self, handles=False):
        return self.run("nft", *(["-a"] if handles else ["-s"]), "list", "ruleset")

    def capture(self, dev):
        return Capture(self, dev)

    def ping(self, target, **options):
        return ping(self, target, **options)

    def probe(self, target, **options):
        return Probe(self, target, **options)

    def flood(self, target):
        return Flood(self, target)

    def talk(self, address, port, **options):
        return Talk(self, address, port, **options)

    def ask(self, address, port, **options):
        return ask(self, address, port, **options)

    def arp(self, target, dev="eth0", **options):
        return arp(self, dev, target, **options)


def open_namespace(name):
    return Namespace(os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC), name)


def create_namespace(name):
    """As `ip netns add` makes it, without the process."""
    path = f"/run/netns/{name}"
    os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o444))
    back = sandbox.current_net()
    try:
        sandbox.unshare_net()
        sandbox.mount("/proc/thread-self/ns/net", path, flags=sandbox.MS_BIND)
    finally:
        sandbox.setns(back)
        os.close(back)
    return open_namespace(name)


class Router(Namespace):
    """A router's namespace as the daemon made it."""

    def settled(self, within=15.0):
        """No address is tentative any more."""
        assert until(lambda: "tentative" not in self.ip("-6 addr"), within), self.ip("-6 addr")

    def gateway(self):
        return next((name for name in self.links() if name.startswith("qg-")), None)

    def table(self):
        """Our nf_tables table as text without counters and handles."""
        return self.run("nft", "-s", "list", "table", "inet", "l3agent")

    def handles(self):
        """What would change if anything were made again: interface indexes and nf_tables handles."""
        return {name: link["ifindex"] for name, link in self.links().items()}, self.nft(handles=True)


class Monitor:
    """Hears every change of links, addresses, routes and nf_tables in the namespaces given; says nothing of neighbours,
    which live their own life."""

    GROUPS = ((0, 0x1 | 0x10 | 0x40 | 0x100 | 0x400), (12, 1 << 6))  # NETLINK_ROUTE, NETLINK_NETFILTER: nf_tables

    def __init__(self, *namespaces):
        self.sockets = []
        for ns in namespaces:
            for protocol, groups in self.GROUPS:
                with ns:
                    listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
                listener.bind((0, groups))
                listener.setblocking(False)
                self.sockets.append((ns.name, protocol, listener))

    def heard(self, wait=0.3):
        """[(namespace, protocol, message type)] since the start."""
        time.sleep(wait)
        messages = []
        for name, protocol, listener in self.sockets:
            while True:
                try:
                    data = listener.recv(1 << 20)
                except BlockingIOError:
                    break
                while len(data) >= 16:
                    length, kind = struct.unpack_from("=IH", data)
                    messages.append((name, {0: "route", 12: "nft"}[protocol], kind & 0xff))
                    data = data[(length + 3) & ~3:]
        return messages

    def close(self):
        for _, _, listener in self.sockets:
            listener.close()


class Daemon:
    """One run of l3agentd."""

    def __init__(self, lab, *argv, env=None):
        self.log_path = os.path.join(lab.dir, "log")
        environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="halt_on_error=1", **(env or {}))
        environment.pop("NOTIFY_SOCKET", None)
        with lab.root, open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([os.path.join(BUILD, "l3agentd"), *argv], stderr=log, stdout=log,
                                            stdin=subprocess.DEVNULL, env=environment)

    def end(self, signum, within=10.0):
        """Sends the signal and returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signum)
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


class ControlError(Exception):
    def __init__(self, answer):
        super().__init__(answer.get("error"))
        self.problems = answer.get("problems", [])


class Lab:
    serial = 0

    def __init__(self):
        assert sandbox.inside(), "a Lab needs a sandbox"
        Lab.serial += 1
        self.dir = tempfile.mkdtemp(prefix="lab-", dir="/run")
        self.before = sandbox.current_net()
        sandbox.unshare_net()
        sandbox.mount("netns", "/run/netns", "tmpfs")
        self.root = Namespace(sandbox.current_net())
        self.root.ip("link set lo up")
        self.files = os.path.join(self.dir, "routers.d")
        os.mkdir(self.files)
        self.networks, self.settings, self.hosts = {}, {}, {}
        self.servers, self.daemon, self.opened = Servers(), None, []

    def close(self):
        """Ends everything; an AssertionError if the daemon did not end well."""
        trouble = None
        try:
            self.stop()
        except (AssertionError, subprocess.TimeoutExpired) as error:
            trouble = error
        self.servers.close()
        for probe in list(Probe.running):
            probe.halt()
            probe.echo.close()
        for ns in [*self.opened, *self.hosts.values(), self.root]:
            ns.close()
        # What is mounted in there goes with it, the namespaces follow once nothing refers to them.
        sandbox.unmount("/run/netns")
        sandbox.setns(self.before)
        os.close(self.before)
        shutil.rmtree(self.dir, ignore_errors=True)
        if trouble:
            raise trouble

    # The place

    def bridge(self, name, network=None, mtu=None):
        """A bridge in root; with `network` also that network's bridge in the settings."""
        self.root.batch(f"link add {name} type bridge forward_delay 0", f"link set {name} addrgenmode none",
                        f"link set {name} up")
        if network:
            entry = self.networks.setdefault(network, {"bridge": []})
            entry["bridge"].append(name)
            if mtu:
                entry["mtu"] = mtu
        return name

    def host(self, name, bridge, *addresses, gateway=(), beyond=()):
        """A machine on a bridge: eth0 with these addresses, default routes, and further addresses on lo."""
        ns = create_namespace(name)
        ns.sysctl("net/ipv6/conf/default/accept_dad", 0)
        ns.sysctl("net/ipv4/ping_group_range", "0 2147483647")
        self.root.batch(f"link add {name}-0 type veth peer name eth0 netns {name}",
                        f"link set {name}-0 master {bridge} addrgenmode none", f"link set {name}-0 up")
        gateways = [gateway] if isinstance(gateway, str) else gateway
        ns.batch("link set lo up", "link set eth0 up", *(f"addr add {a} dev eth0 nodad" if ":" in a
                                                         else f"addr add {a} dev eth0" for a in addresses),
                 *(f"addr add {a} dev lo" for a in beyond), *(f"route add default via {g}" for g in gateways))
        self.hosts[name] = ns
        return ns

    def serve(self, host, port=7, protocol="tcp"):
        """An echo server that tells clients the host's name and their own address."""
        kind, proto = {"tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0),
                       "sctp": (socket.SOCK_STREAM, 132), "udplite": (socket.SOCK_DGRAM, 136)}[protocol]
        return self.servers.listen(host, port, kind, host.name, proto)

    # Files

    def write(self, name, routers):
        """A router file, replaced by rename as editors do: text, or a list of routers."""
        text = routers if isinstance(routers, (str, bytes)) else yaml.safe_dump({"routers": routers}, sort_keys=False)
        path, temporary = os.path.join(self.files, name), os.path.join(self.files, f".{name}.new")
        with open(temporary, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        os.rename(temporary, path)
        return path

    def remove(self, name):
        os.unlink(os.path.join(self.files, name))

    def configure(self, **more):
        """Writes the settings file; `more` stays for the next time."""
        self.settings.update(more)
        settings = {"host": "lab", "files": self.files, "run_dir": os.path.join(self.dir, "run"),
                    "state_dir": os.path.join(self.dir, "state"), "networks": self.networks,
                    "metrics": {"listen": "127.0.0.1:9469"}, "log": {"level": "debug"}, **self.settings}
        path = os.path.join(self.dir, "l3agent.yaml")
        with open(path, "w") as file:
            yaml.safe_dump(settings, file, sort_keys=False)
        return path

    # The daemon

    def start(self, ready=True, env=None):
        """Starts the daemon; with `ready` returns once the source is synced and every router is in sync."""
        assert not self.daemon
        if os.path.exists(self.control):
            os.unlink(self.control)
        self.daemon = Daemon(self, "-c", self.configure(), env=env)
        if ready:
            self.wait()
        return self.daemon

    @property
    def control(self):
        return os.path.join(self.settings.get("run_dir", os.path.join(self.dir, "run")), "control.sock")

    def stop(self, signum=signal.SIGTERM):
        """Stops the daemon as an operator does; it must end with status 0 and without a sanitizer's complaint."""
        if not self.daemon:
            return
        daemon, self.daemon = self.daemon, None
        status = daemon.end(signum)
        if signum != signal.SIGKILL:
            assert status == 0, f"l3agentd ended with {status}\n{self.log()[-4000:]}"
        complaint = re.search(r"(ERROR: \w+Sanitizer|runtime error:).*", self.log())
        assert not complaint, complaint.group(0)

    def kill(self):
        self.stop(signal.SIGKILL)

    def restart(self, signum=signal.SIGTERM):
        self.stop(signum)
        self.start()

    def reload(self):
        self.configure()
        self.daemon.process.send_signal(signal.SIGHUP)

    def run_daemon(self, *argv):
        """A run of l3agentd that ends by itself: (exit status, what it printed)."""
        with self.root:
            done = subprocess.run([os.path.join(BUILD, "l3agentd"), "-c", self.configure(), *argv],
                                  capture_output=True, text=True, timeout=20)
        return done.returncode, done.stdout + done.stderr

    def check(self):
        return self.run_daemon("-n")

    def log(self):
        try:
            with open(os.path.join(self.dir, "log"), errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def connect(self, within=10.0):
        """A connection to the control socket, as soon as the daemon listens."""
        end = time.monotonic() + within
        while True:
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                client.connect(self.control)
                return client
            except OSError:
                client.close()
                if self.daemon and self.daemon.process.poll() is not None:
                    raise AssertionError(f"l3agentd ended with {self.daemon.process.returncode}\n{self.log()[-4000:]}")
                if time.monotonic() > end:
                    raise
                time.sleep(0.005)

    def ask(self, op, within=30.0, **fields):
        """One request to the control socket, its answer without "ok"; ControlError if it was refused."""
        with self.connect() as client:
            client.settimeout(within)
            client.sendall(json.dumps({"op": op, **fields}).encode() + b"\n")
            for line in client.makefile("rb"):
                answer = json.loads(line)
                if "ok" not in answer:
                    continue
                if not answer.pop("ok"):
                    raise ControlError(answer)
                return answer
        raise AssertionError(f"no answer to {op}\n{self.log()[-4000:]}")

    def status(self):
        return self.ask("status")["status"]

    def wait(self, timeout=20.0):
        self.ask("wait", timeout_ms=int(timeout * 1000), within=timeout + 5)

    def resync(self, router=None):
        """Reads the files again, goes over every router, and returns when all are in sync: the last sync's figures."""
        self.ask("resync", **({"router": router} if router else {}))
        self.wait()
        return self.status()["last_sync"]

    def routers(self):
        return {r["name"]: r for r in self.ask("routers")["routers"]}

    def ctl(self, *argv, text=None, check=True, form="text"):
        """l3ctl: its output (form "json": parsed; "all": (status, out, err))."""
        command = [os.path.join(BUILD, "l3ctl"), "-s", self.control, *(["--json"] if form == "json" else []), *argv]
        with self.root:
            done = subprocess.run(command, input=text or "", capture_output=True, text=True, timeout=60)
        if form == "all":
            return done.returncode, done.stdout, done.stderr
        assert not check or done.returncode == 0, f"l3ctl {argv}: {done.returncode} {done.stdout}{done.stderr}"
        return json.loads(done.stdout) if form == "json" else done.stdout

    # What there is

    def namespaces(self, prefix="qrouter-"):
        return sorted(name for name in os.listdir("/run/netns") if name.startswith(prefix))

    def router(self, name):
        """The namespace of the router of this name."""
        return self.space(self.routers()[name]["namespace"], name)

    def space(self, namespace, name="r"):
        """The same by its namespace, for when nobody can be asked."""
        ns = Router(os.open(os.path.join("/run/netns", namespace), os.O_RDONLY | os.O_CLOEXEC), name)
        self.opened.append(ns)
        return ns

    def monitor(self):
        """A Monitor of root and of all routers' namespaces, once the kernel has told all that follows from what was done
        before: links come up late, addresses stop being tentative."""
        spaces = [self.root, *(self.space(name) for name in self.namespaces())]

        def quiet():
            states = {link["operstate"] for ns in spaces for name, link in ns.links().items()
                      if name.startswith(("tap", "qr-", "qg-"))}
            return states <= {"UP"} and not any("tentative" in ns.ip("-6 addr") for ns in spaces)

        until(quiet, 10.0)
        monitor = Monitor(*spaces)
        until(lambda: monitor.heard(0.1) == [], 3.0)
        return monitor

    def snapshot(self):
        """Everything that the daemon made, without what differs from run to run (indexes, handles): for comparison."""
        state = {"taps": {name: (link.get("master"), link["mtu"], "UP" in link["flags"])
                          for name, link in self.root.links().items() if name.startswith("tap")}}
        for name in self.namespaces():
            ns = open_namespace(name)
            try:
                state[name] = {
                    "links": {n: (k["address"], k["mtu"], "UP" in k["flags"]) for n, k in ns.links().items()},
                    "addresses": sorted((link["ifname"], a["local"], a["prefixlen"])
                                        for link in ns.json("ip", "-j", "addr") for a in link.get("addr_info", ())
                                        if a["scope"] == "global"),
                    "routes": sorted(line.strip() for family in "46" for line in
                                     ns.ip(f"-{family} route show proto static").splitlines()),
                    "nft": ns.nft(),
                    "sysctl": [ns.sysctl(key) for key in ("net/ipv4/ip_forward", "net/ipv4/conf/all/arp_ignore",
                                                          "net/ipv4/conf/all/arp_announce",
                                                          "net/ipv6/conf/all/forwarding")],
                }
            finally:
                ns.close()
        return state
