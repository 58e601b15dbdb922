# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon dies right after its n-th write to the kernel, for every n of a run. Started again it must reach the very
state of a run that nobody disturbed, and a pass after that must write nothing."""

import copy

import pytest

from lab import Lab
from packets import until

pytestmark = pytest.mark.crash

GATEWAY = {"network": "public", "external_fixed_ips": ["203.0.113.10/24", "2001:db8:ff::10/64"],
           "gateway_ips": ["203.0.113.1", "2001:db8:ff::1"], "extra_subnets": ["198.18.5.0/24"]}
FULL = {
    "name": "r", "external_gateway_info": GATEWAY,
    "interfaces": [{"network": "a", "fixed_ips": ["10.0.0.1/24", "2001:db8:a::1/64"]},
                   {"network": "b", "fixed_ips": ["10.1.0.1/24"]}],
    "floatingips": [{"floating_ip_address": "203.0.113.20", "fixed_ip_address": "10.0.0.5"},
                    {"floating_ip_address": "203.0.113.21", "fixed_ip_address": "10.0.0.6"}],
    "port_forwardings": [{"floating_ip_address": "203.0.113.22", "protocol": "tcp", "external_port": 2222,
                          "internal_ip_address": "10.0.0.7", "internal_port": 22}],
    "routes": [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}],
}
KEPT = {"name": "kept", "interfaces": [{"network": "b", "fixed_ips": ["10.1.0.2/24"]}]}


def changed():
    """A bit of everything: added, removed, changed in place."""
    router = copy.deepcopy(FULL)
    router["external_gateway_info"]["external_fixed_ips"][0] = "203.0.113.11/24"
    router["external_gateway_info"]["extra_subnets"] = ["198.18.6.0/24"]
    router["interfaces"] = [{"network": "a", "mtu": 1400, "fixed_ips": ["10.0.0.1/23", "2001:db8:a::1/60"]},
                            {"network": "c", "fixed_ips": ["10.2.0.1/24"]}]
    router["floatingips"] = [{"floating_ip_address": "203.0.113.21", "fixed_ip_address": "10.0.0.8"},
                             {"floating_ip_address": "203.0.113.23", "fixed_ip_address": "10.0.0.5"}]
    router["port_forwardings"][0]["internal_port"] = 23
    router["routes"] = [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.10"},
                        {"destination": "10.8.0.0/16", "nexthop": "10.2.0.9"}]
    return router


# (before, after): the run that is killed starts with the first in force and the second in the files.
RUNS = {"set up": (None, [FULL, KEPT]), "change": ([FULL, KEPT], [changed(), KEPT]), "remove": ([FULL, KEPT], [KEPT])}
FLOWS = ["203.0.113.20", "203.0.113.10"]  # what leaves in "change" and "remove": their flows must end, crash or not
MOST = 400


def build(lab):
    for network, bridge in (("public", "br-ex"), ("a", "br-a"), ("b", "br-b"), ("c", "br-c")):
        lab.bridge(bridge, network)


def prepare(lab, before, after):
    build(lab)
    if before:
        lab.write("r.yaml", before)
        lab.start()
        for address in FLOWS:
            lab.router("r").run("conntrack", "-I", "-p", "tcp", "-s", "203.0.113.1", "-d", address, "--sport", "4000",
                                "--dport", "80", "--state", "ESTABLISHED", "-t", "600")
        lab.stop()
    lab.write("r.yaml", after)


def undisturbed(before, after):
    lab = Lab()
    try:
        prepare(lab, before, after)
        lab.start()
        return lab.snapshot(), lab.status()["last_sync"]["writes"]
    finally:
        lab.close()


def die_after(lab, n):
    """Did it die? False: it reached the end before the n-th write."""
    daemon = lab.start(ready=False, env={"L3AGENT_DIE_AFTER": str(n)})

    def over():
        if daemon.process.poll() is not None:
            return "died"
        try:
            routers = lab.status()["routers"]
            return "done" if lab.status()["source"]["synced"] and routers["pending"] == 0 and routers["total"] else None
        except (OSError, AssertionError, ValueError):
            return None

    how = until(over, 15.0)
    if how == "done":  # whatever comes after the last router, the journal and the removal of orphans, is part of it
        until(lambda: daemon.process.poll() is not None, 0.3)
    died = daemon.process.poll() is not None
    if died:
        assert daemon.process.returncode == -9, lab.log()[-2000:]
        lab.daemon = None
    else:
        lab.kill()
    return died


def flows(lab):
    return [flow for name in lab.namespaces() for address in FLOWS
            for flow in lab.space(name).conntrack("--orig-dst", address)]


@pytest.mark.parametrize("run", RUNS)
def test_death_after_every_write(run):
    before, after = RUNS[run]
    want, writes = undisturbed(before, after)
    assert writes >= 3
    for n in range(1, MOST):
        lab = Lab()
        try:
            prepare(lab, before, after)
            died = die_after(lab, n)
            lab.start()
            until(lambda: lab.status()["orphans"] == 0, 1.0)
            have = lab.snapshot()
            assert have == want, f"after death at write {n}: {differences(have, want)}"
            if before:
                assert flows(lab) == [], f"after death at write {n}"
            assert lab.resync()["writes"] == 0, f"after death at write {n}"
        finally:
            lab.close()
        if not died:
            assert n > writes, f"{n} of {writes}"
            print(f"{run}: died after each of {n - 1} writes")
            return
    raise AssertionError(f"more than {MOST} writes")


def differences(have, want, path=""):
    if isinstance(have, dict) and isinstance(want, dict):
        return "; ".join(filter(None, (differences(have.get(k), want.get(k), f"{path}/{k}")
                                       for k in sorted({*have, *want}))))
    return "" if have == want else f"{path}: {have!r} instead of {want!r}"


def test_the_build_dies_on_demand(lab):
    """Without that the test above would pass for nothing."""
    build(lab)
    lab.write("r.yaml", [FULL])
    assert die_after(lab, 3)
    lab.start()
    assert lab.status()["last_sync"]["writes"] > 0 and lab.status()["routers"]["in_sync"] == 1
