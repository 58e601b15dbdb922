#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures: ./run bench [same|cold|fip|flows ...] [--build DIR] [--json FILE]

Each measurement runs in a sandbox of its own (network, mounts, processes). What is compared is measured in turns, in the
same run, and the median counts. Figures of other programs are fixed values, see the README."""

import argparse
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "kernel"))
import sandbox  # noqa: E402

PORTS_PER_BRIDGE = 25           # of internal networks; as in floor.c
FLOATING_IPS = 5
COLD_RUNS = {100: 5, 300: 3, 1000: 3}
FIP_ADDS = 200
FLOW_SECONDS = 3.0
FLOW_RUNS = 5
FLOW_COUNTS = (1, 5000)
IDLE_ROUTERS = 20
ANNOUNCED_S = 10                # until that many routers' addresses have been announced, so that the daemon is idle
BUSY = 0.7
SETTLE_S = 1.5                  # what the kernel does after a sandbox has ended must not meet the next one


# ---- what the sandbox does ----

def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def router_text(i):
    """The i-th standard router, as floor.c makes it."""
    high, low, bridge = i >> 8, i & 255, i // PORTS_PER_BRIDGE
    fips = []
    for k in range(FLOATING_IPS):
        n = i * FLOATING_IPS + k
        fips.append(f"  - {{floating_ip_address: 198.19.{n >> 8}.{n & 255}, fixed_ip_address: 10.{high}.{low}.{10 + k}}}\n")
    return (f"routers:\n- name: bench-{i}\n  external_gateway_info:\n    network: ex0\n"
            f"    external_fixed_ips: [198.18.{1 + high}.{low}/15, \"2001:db8:ff::1:{i:x}/64\"]\n"
            "    gateway_ips: [198.18.0.1, \"2001:db8:ff::1\"]\n  interfaces:\n"
            f"  - {{network: blue{bridge}, fixed_ips: [10.{high}.{low}.1/24, \"2001:db8:100:{i:x}::1/64\"]}}\n"
            f"  - {{network: green{bridge}, fixed_ips: [10.{64 + high}.{low}.1/24, \"2001:db8:101:{i:x}::1/64\"]}}\n"
            "  floatingips:\n" + "".join(fips))


class Agent:
    """l3agentd on router files in /run/bench."""

    def __init__(self, build, bridges):
        self.build, self.process = build, None
        self.dir, self.socket = "/run/bench/routers.d", "/run/bench/control.sock"
        os.makedirs(self.dir, exist_ok=True)
        networks = "".join(f"  {kind}{k}: {{bridge: br-{kind}{k}}}\n"
                           for kind, n in (("ex", 1), ("blue", bridges), ("green", bridges)) for k in range(n))
        write("/run/bench/l3agent.yaml", f"files: {self.dir}\nrun_dir: /run/bench\nstate_dir: /run/bench/state\n"
              f"log: {{level: warn}}\nnetworks:\n{networks}")

    def start(self):
        self.process = subprocess.Popen([f"{self.build}/l3agentd", "-c", "/run/bench/l3agent.yaml"])

    def ask(self, request):
        with socket.socket(socket.AF_UNIX) as s:
            while s.connect_ex(self.socket) != 0:
                if self.process.poll() is not None:
                    sys.exit("l3agentd has ended")
                time.sleep(0.001)
            s.sendall(json.dumps(request).encode() + b"\n")
            for line in s.makefile("rb"):
                answer = json.loads(line)
                if "ok" in answer:
                    return answer
        sys.exit("l3agentd closed the connection")

    def wait(self):
        answer = self.ask({"op": "wait", "timeout_ms": 120000})
        if not answer["ok"]:
            sys.exit(answer["error"])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def ip(*args):
    subprocess.run(["ip", *args], check=True)


def floor(build, *args):
    done = subprocess.run([f"{build}/test/bench_floor", *map(str, args)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout) if done.stdout else None


def teardown():
    """Unmounts all namespaces and waits until the kernel has taken them apart."""
    for name in os.listdir("/run/netns"):
        sandbox.unmount(f"/run/netns/{name}")
        os.unlink(f"/run/netns/{name}")
    for _ in range(600):
        with open("/proc/net/dev", encoding="ascii") as f:
            if "tap" not in f.read():
                return
        time.sleep(0.05)


def inside_floor(build, n):
    floor(build, "--bridges", n)
    result = floor(build, n)
    teardown()
    return result


def timed_sync(agent):
    begin = time.monotonic()
    agent.start()
    agent.wait()
    return time.monotonic() - begin


def inside_agent(build, n):
    floor(build, "--bridges", n)
    agent = Agent(build, (n - 1) // PORTS_PER_BRIDGE + 1)
    timed_sync(agent)
    empty_kib = agent.rss_kib()
    agent.stop()
    for i in range(n):
        write(f"{agent.dir}/bench-{i:04}.yaml", router_text(i))
    result = {"routers": n, "seconds": timed_sync(agent)}
    result["writes"] = agent.ask({"op": "status"})["status"]["last_sync"]["writes"]
    result["rss_kib"] = (agent.rss_kib() - empty_kib) / n
    agent.stop()
    result["warm_seconds"] = timed_sync(agent)
    result["warm_writes"] = agent.ask({"op": "status"})["status"]["last_sync"]["writes"]
    agent.stop()
    teardown()
    return result


def in_namespace(name, *command):
    return subprocess.run(["nsenter", f"--net=/run/netns/{name}", *command], check=True, capture_output=True,
                          text=True).stdout


def tables(name):
    """A namespace as a value that two programs' work can be compared by."""
    ruleset = json.loads(in_namespace(name, "nft", "-j", "list", "ruleset"))["nftables"][1:]
    for item in ruleset:
        for thing in item.values():
            thing.pop("handle", None)
            if "elem" in thing:
                thing["elem"].sort(key=json.dumps)
    addresses = [(link["ifname"], a["local"], a["prefixlen"], a.get("broadcast"))
                 for link in json.loads(in_namespace(name, "ip", "-j", "addr")) for a in link["addr_info"]]
    links = [(link["ifname"], link["address"], link["mtu"], link["operstate"])
             for link in json.loads(in_namespace(name, "ip", "-j", "link"))]
    routes = [in_namespace(name, "ip", family, "route") for family in ("-4", "-6")]
    keys = ("ipv4.ip_forward", "ipv4.conf.all.arp_announce", "ipv4.conf.all.arp_ignore",
            "ipv4.conf.all.promote_secondaries", "ipv6.conf.all.forwarding", "netfilter.nf_conntrack_tcp_be_liberal")
    gateway = next(link[0] for link in links if link[0].startswith("qg-"))
    sysctls = in_namespace(name, "sysctl", *(f"net.{key}" for key in keys), f"net/ipv6/conf/{gateway}/accept_ra")
    return {"rules": ruleset, "addresses": sorted(map(str, addresses)), "links": sorted(map(str, links)),
            "routes": sorted(" ".join(routes).splitlines()), "sysctls": sysctls}


def inside_same(build):
    """Do both make the same? Otherwise no figure means anything."""
    floor(build, "--bridges", 1)
    floor(build, 1)
    name, = os.listdir("/run/netns")
    time.sleep(2.5)                     # DAD
    by_floor = tables(name)
    teardown()
    agent = Agent(build, 1)
    write(f"{agent.dir}/bench-0.yaml", router_text(0))
    timed_sync(agent)
    time.sleep(2.5)
    by_agent = tables(name)
    agent.stop()
    teardown()
    return {"different": {key: [by_floor[key], by_agent[key]] for key in by_floor if by_floor[key] != by_agent[key]}}


def capture_port():
    """A port on the external bridge where announcements can be seen."""
    ip("link", "add", "probe", "type", "veth", "peer", "name", "probe-br")
    ip("link", "set", "probe-br", "master", "br-ex0", "up")
    ip("link", "set", "probe", "up")


def spawn_lines(agent, router, n):
    return "".join(f"198.19.{128 + k // 250}.{1 + k % 250} {agent.build}/l3ctl -s {agent.socket} floatingip add {router} "
                   f"198.19.{128 + k // 250}.{1 + k % 250} 10.{128 + k // 250}.0.{2 + k % 250}\n" for k in range(n))


EDITED = """routers:
- name: edited
  external_gateway_info: {network: ex0, external_fixed_ips: [198.18.127.1/15], gateway_ips: [198.18.0.1]}
  interfaces:
  - {network: blue0, fixed_ips: [10.128.0.1/16, 10.129.0.1/16]}
"""


def spawn(build, lines):
    return subprocess.Popen([f"{build}/test/bench_spawn", "probe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True, bufsize=1), lines.splitlines(True)


def inside_fip_idle(build, n):
    floor(build, "--bridges", n)
    agent = Agent(build, (n - 1) // PORTS_PER_BRIDGE + 1)
    for i in range(n):
        write(f"{agent.dir}/bench-{i:04}.yaml", router_text(i))
    write(f"{agent.dir}/edited.yaml", EDITED)
    capture_port()
    timed_sync(agent)
    time.sleep(ANNOUNCED_S)
    process, lines = spawn(build, spawn_lines(agent, "edited", FIP_ADDS))
    out, _ = process.communicate("".join(lines))
    if process.returncode:
        sys.exit("an addition failed")
    agent.stop()
    teardown()
    return {"microseconds": [int(word) for word in out.split()]}


def inside_fip_busy(build, n):
    """Additions while a cold sync is under way, one after the other until it is over."""
    floor(build, "--bridges", n)
    agent = Agent(build, (n - 1) // PORTS_PER_BRIDGE + 1)
    write(f"{agent.dir}/edited.yaml", EDITED)
    capture_port()
    timed_sync(agent)
    for i in range(n):
        write(f"/run/bench/bench-{i:04}.yaml", router_text(i))
    process, lines = spawn(build, spawn_lines(agent, "edited", 400))
    for i in range(n):
        os.rename(f"/run/bench/bench-{i:04}.yaml", f"{agent.dir}/bench-{i:04}.yaml")
    times = []
    for line in lines:
        process.stdin.write(line)
        process.stdin.flush()
        word = process.stdout.readline()
        if not word:
            sys.exit("an addition failed")
        times.append(int(word))         # begun while the sync was under way
        routers = agent.ask({"op": "status"})["status"]["routers"]
        if routers["total"] > n and not routers["pending"]:
            break
    process.stdin.close()
    process.wait(10)
    agent.wait()
    agent.stop()
    teardown()
    return {"microseconds": times}


def netns(name):
    ip("netns", "add", name)
    ip("-n", name, "link", "set", "lo", "up")


def plug(name, dev, bridge, address):
    ip("link", "add", f"{name}-br", "type", "veth", "peer", "name", dev, "netns", name)
    ip("link", "set", f"{name}-br", "master", bridge, "up")
    ip("-n", name, "link", "set", dev, "up")
    ip("-n", name, "addr", "add", address, "dev", dev)


def flows_router(k, count):
    """A router whose floating IPs lead to as many addresses behind one guest: neither side then needs more than one
    neighbour entry."""
    fips = "".join(f"  - {{floating_ip_address: 198.19.{64 * k + (j >> 8)}.{j & 255}, "
                   f"fixed_ip_address: 10.{9 + k}.{j >> 8}.{j & 255}}}\n" for j in range(1, count + 1))
    return (f"- name: flows-{k}\n  external_gateway_info: {{network: ex0, external_fixed_ips: [198.18.1.{k + 1}/15], "
            f"gateway_ips: [198.18.0.1]}}\n  interfaces:\n  - {{network: blue0, fixed_ips: [10.1.{k}.1/24]}}\n  routes:\n"
            f"  - {{destination: 10.{9 + k}.0.0/16, nexthop: 10.1.{k}.2}}\n  floatingips:\n{fips}")


def inside_flows(build):
    floor(build, "--bridges", 1)
    agent = Agent(build, 1)
    write(f"{agent.dir}/flows.yaml", "routers:\n" + "".join(flows_router(k, n) for k, n in enumerate(FLOW_COUNTS)))
    timed_sync(agent)
    netns("outside")
    plug("outside", "eth0", "br-ex0", "198.18.0.1/24")
    for k in range(len(FLOW_COUNTS)):
        netns(f"guest{k}")
        plug(f"guest{k}", "eth0", "br-blue0", f"10.1.{k}.2/24")
        ip("-n", f"guest{k}", "route", "add", "default", "via", f"10.1.{k}.1")
        ip("-n", f"guest{k}", "route", "add", "local", f"10.{9 + k}.0.0/16", "dev", "lo")
        ip("-n", "outside", "route", "add", f"198.18.1.{k + 1}", "dev", "eth0")
        ip("-n", "outside", "route", "add", f"198.19.{64 * k}.0/18", "via", f"198.18.1.{k + 1}")
    agent.stop()                        # the kernel alone is measured
    servers = [subprocess.Popen(["nsenter", f"--net=/run/netns/guest{k}", f"{build}/test/bench_flows", "serve"],
                                stdout=subprocess.PIPE) for k in range(len(FLOW_COUNTS))]
    for server in servers:
        server.stdout.readline()
    time.sleep(2)
    rates = [[] for _ in FLOW_COUNTS]
    for _ in range(FLOW_RUNS):
        for k, n in enumerate(FLOW_COUNTS):
            last = f"198.19.{64 * k + (n >> 8)}.{n & 255}"      # the one that a list of rules would find last
            result = json.loads(in_namespace("outside", f"{build}/test/bench_flows", "connect", str(FLOW_SECONDS), last))
            if result["failed"]:
                sys.exit(f"{result['failed']} connections failed")
            rates[k].append(result["per_second"])
    for server in servers:
        server.kill()
        server.wait()
    teardown()
    return {"per_second": rates}


INSIDE = {"floor": inside_floor, "agent": inside_agent, "same": inside_same, "fip_idle": inside_fip_idle,
          "fip_busy": inside_fip_busy, "flows": inside_flows}


# ---- what the person sees ----

def overflows():
    """How often the neighbour table that all namespaces share was full: frames were then not sent, which makes
    everything look faster."""
    try:
        with open("/proc/net/stat/ndisc_cache", encoding="ascii") as f:
            names, *rows = [line.split() for line in f]
    except OSError:
        return 0
    return sum(int(row[names.index("table_fulls")], 16) for row in rows) if "table_fulls" in names else 0


def measure(options, part, *args):
    before = overflows()
    line = [sys.executable, os.path.abspath(__file__), "--build", options.build, "--inside", part, *map(str, args)]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, timeout=240, check=False)
    if done.returncode:
        sys.exit(f"bench: {part} {' '.join(map(str, args))} failed")
    time.sleep(SETTLE_S)
    result = json.loads(done.stdout)
    result["overflows"] = overflows() - before
    return result


def say(*words):
    print(*words, file=sys.stderr, flush=True)


class Report:
    def __init__(self):
        self.rows, self.raw = [], {}

    def add(self, figure, target, ours, other, good):
        self.rows.append({"figure": figure, "target": target, "ours": ours, "other": other, "met": good})

    def show(self):
        head = {"figure": "figure", "target": "target", "ours": "ours", "other": "floor or peer", "met": None}
        keys = ("figure", "target", "ours", "other")
        width = {key: max(len(row[key]) for row in [head, *self.rows]) for key in keys}
        for row in [head, *self.rows]:
            mark = "" if row["met"] is None else "met" if row["met"] else "MISSED"
            print("  ".join(row[key].ljust(width[key]) for key in keys) + "  " + mark)


def part_same(options, report):
    say("same: do the floor and the agent make the same objects?")
    different = measure(options, "same")["different"]
    report.raw["same"] = {"different": different}
    report.add("floor and agent make the same objects", "yes", "no: " + ", ".join(different) if different else "yes", "",
               not different)


def part_cold(options, report):
    per_router, raw = {}, {}
    for n, runs in COLD_RUNS.items():
        floors, agents = [], []
        for k in range(runs):
            floors.append(measure(options, "floor", n))
            agents.append(measure(options, "agent", n))
            say(f"cold {n}, run {k + 1} of {runs}: floor {floors[-1]['seconds']:.2f} s, agent {agents[-1]['seconds']:.2f} s, "
                f"warm {agents[-1]['warm_seconds']:.2f} s; neighbour table full {floors[-1]['overflows']}, "
                f"{agents[-1]['overflows']} times")
        raw[n] = {"floor": floors, "agent": agents}
        ours, least = (statistics.median(r["seconds"] for r in runs_of) * 1000 / n for runs_of in (floors, agents))
        ours, least = least, ours
        per_router[n] = ours
        limit = 0.9 if n >= 1000 else 1.2
        report.add(f"cold start, {n} routers", f"{limit} x floor", f"{ours:.2f} ms a router, {ours / least:.2f} x",
                   f"{least:.2f} ms a router", ours / least <= limit)
    last = [r for r in raw[1000]["agent"]]
    ratio = per_router[1000] / per_router[100]
    warm = statistics.median(r["warm_seconds"] for r in last)
    writes = max(r["warm_writes"] for r in last)
    rss = statistics.median(r["rss_kib"] for r in last)
    report.add("cost of a router at 1,000 against at 100", "1.5 x", f"{ratio:.2f} x", "", ratio <= 1.5)
    report.add("restart with nothing changed, 1,000 routers", "1 ms a router", f"{warm:.2f} ms a router",
               "15 s a router: neutron's agent", warm <= 1)
    report.add("its writes", "0", str(writes), "", writes == 0)
    report.add("memory, 1,000 routers", "32 KiB a router", f"{rss:.1f} KiB a router", "9.6 MB: neutron's helpers", rss <= 32)
    report.raw["cold"] = raw


def part_fip(options, report):
    for part, n, limit, name, peer in (("fip_idle", IDLE_ROUTERS, 10, "idle", "1,100 ms, worst 30 s: neutron's agent"),
                                       ("fip_busy", 1000, 40, "during a sync of 1,000", "")):
        result = measure(options, part, n)
        times = sorted(t / 1000 for t in result["microseconds"])
        p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
        say(f"{part}: {len(times)} additions, median {statistics.median(times):.2f} ms, p99 {p99:.2f} ms")
        report.add(f"floating IP added, {name}, p99 of {len(times)}", f"{limit} ms",
                   f"{p99:.2f} ms (median {statistics.median(times):.2f})", peer, p99 <= limit)
        report.raw[part] = result


def part_flows(options, report):
    result = measure(options, "flows")
    one, many = (statistics.median(rates) for rates in result["per_second"])
    say(f"flows: {one:.0f}/s with {FLOW_COUNTS[0]} floating IP, {many:.0f}/s with {FLOW_COUNTS[1]}")
    report.add(f"new connections a second, {FLOW_COUNTS[1]} floating IPs", f"within 10 % of 1's {one:.0f}", f"{many:.0f}",
               "iptables: 4,550 (1: 15,900)", many >= 0.9 * one)
    report.raw["flows"] = result


PARTS = {"same": part_same, "cold": part_cold, "fip": part_fip, "flows": part_flows}


def run_inside(options):
    part, *args = options.inside
    child = sandbox.fork()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os.makedirs("/run/bench")
    print(json.dumps(INSIDE[part](options.build, *map(int, args))))
    sys.exit(0)


def main():
    parser = argparse.ArgumentParser(prog="./run bench")
    parser.add_argument("parts", nargs="*", metavar="NAME", help="same, cold, fip, flows; default: all of them")
    parser.add_argument("--build", default=os.path.join(HERE, "..", "..", "build"), help="build directory")
    parser.add_argument("--json", default="bench.json", help="where the figures go (default: bench.json)")
    parser.add_argument("--inside", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    if options.inside:
        run_inside(options)
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        parser.error(f"no part is called {unknown[0]}; there are {', '.join(PARTS)}")
    for program in ("l3agentd", "l3ctl", "test/bench_floor", "test/bench_spawn", "test/bench_flows"):
        if not os.access(os.path.join(options.build, program), os.X_OK):
            sys.exit(f"bench: {program} is missing in {options.build}")
    load = os.getloadavg()[0]
    if load > BUSY:
        say(f"the machine is busy (load {load:.1f}): take no absolute figure from this")
    report = Report()
    report.raw["load"] = load
    for name in options.parts or PARTS:
        PARTS[name](options, report)
    report.show()
    write(options.json, json.dumps({"table": report.rows, "measured": report.raw}, indent=1) + "\n")
    sys.exit(0 if all(row["met"] for row in report.rows) else 1)


if __name__ == "__main__":
    main()
