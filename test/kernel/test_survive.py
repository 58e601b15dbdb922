# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart, crash, and what others do behind the daemon's back: rows GC, LEG-10, -11 of the contract. "Lost" counts
echo requests that leave every 10 ms."""

import signal
import time
import uuid

import pytest

from lab import create_namespace, open_namespace, patience
from packets import until
from topology import B, BEYOND, E, E6, FIP, FIP2, GW, QR_A, Site


@pytest.fixture
def under_ping(site):
    """Probes through SNAT, floating IP in both directions, port-preserving east-west and IPv6."""
    site.r.settled()
    assert site.b.ping(BEYOND) and site.e.ping(FIP) and site.a.ping(B) and site.b.ping(E6)
    site.probes = [site.b.probe(BEYOND), site.a.probe(E), site.e.probe(FIP), site.a.probe(B), site.b.probe(E6)]
    time.sleep(0.2)
    return site


def lost(site):
    time.sleep(0.2)
    return [len(probe.lost()) for probe in site.probes]


def test_gc_02_kill_under_ping(under_ping):
    before = under_ping.r.handles()
    for _ in range(3):
        under_ping.lab.kill()
        time.sleep(0.1)
        under_ping.lab.start()
        assert under_ping.lab.status()["last_sync"]["writes"] == 0
    assert lost(under_ping) == [0] * 5
    assert under_ping.r.handles() == before


def test_restart_under_ping(under_ping):
    before = under_ping.r.handles()
    for _ in range(3):
        under_ping.lab.restart(signal.SIGTERM)
        assert under_ping.lab.status()["last_sync"]["writes"] == 0
    assert lost(under_ping) == [0] * 5
    assert under_ping.r.handles() == before


def test_stopped_daemon_leaves_the_data_plane(under_ping):
    under_ping.lab.stop()
    time.sleep(0.5)
    assert lost(under_ping) == [0] * 5


def test_defect_8_rules_are_never_absent_during_a_restart_with_changes(under_ping):
    """The files change while the daemon is away; what is common to both versions goes on."""
    under_ping.lab.kill()
    under_ping.write(floatingips=[*under_ping.router["floatingips"],
                                  {"floating_ip_address": FIP2, "fixed_ip_address": "10.0.0.6"}],
                     routes=[{"destination": "10.9.0.0/16", "nexthop": B}])
    under_ping.lab.start()
    assert under_ping.e.ping(FIP2)
    assert lost(under_ping) == [0] * 5


def test_changes_under_ping_lose_nothing(under_ping):
    floating = under_ping.router["floatingips"]
    for n in range(20):
        under_ping.update(floatingips=floating + [{"floating_ip_address": f"203.0.113.{100 + n}",
                                                   "fixed_ip_address": "10.0.0.6"}])
    under_ping.update(floatingips=floating)
    assert lost(under_ping) == [0] * 5


def test_established_flows_survive_kill_and_restart(site):
    site.lab.serve(site.e, 7)
    site.lab.serve(site.a, 7)
    assert site.b.ping(E) and site.e.ping(FIP)
    talks = [site.b.talk(E, 7), site.a.talk(E, 7), site.e.talk(FIP, 7)]
    site.lab.restart(signal.SIGKILL)
    assert all(talk.alive() for talk in talks)


def test_leg_10_resync_keeps_everything(site):
    before = site.r.handles()
    assert site.lab.resync()["writes"] == 0
    assert site.lab.resync("r")["writes"] == 0
    assert site.r.handles() == before


def test_leg_11_gc_01_routers_deleted_while_away(site):
    lab = site.lab
    lab.write("other.yaml", [{"name": "other", "interfaces": [{"network": "a", "fixed_ips": ["10.0.0.2/24"]}]}])
    lab.resync()
    kept, gone = site.r.handles(), lab.routers()["other"]["namespace"]
    for name in (f"qrouter-{uuid.uuid4()}", f"snat-{uuid.uuid4()}", "foo-1", f"qdhcp-{uuid.uuid4()}", "qrouter-x"):
        create_namespace(name).close()
    lab.stop()
    lab.remove("other.yaml")
    lab.start()
    mine = lab.routers()["r"]["namespace"]
    assert until(lambda: lab.namespaces() == sorted([mine, "qrouter-x"]), 3.0), lab.namespaces()
    assert until(lambda: lab.namespaces("snat-") == [], 3.0)
    assert lab.namespaces("foo-") and lab.namespaces("qdhcp-") and gone not in lab.namespaces()
    assert site.r.handles() == kept


def test_half_made_namespace_is_finished(lab):
    """A namespace's file without a namespace behind it: what a crash between two system calls leaves."""
    site = Site(lab, start=False)
    site.router["id"] = "6a7c1f0e-3b1d-4b6e-9f10-0123456789ab"
    site.write()
    open(f"/run/netns/qrouter-{site.router['id']}", "w").close()
    lab.start()
    assert site.e.ping(FIP)


# By hand. Each test breaks one thing and wants it back within a second, everything else untouched.


def back(site, condition, within=1.0):
    start = time.monotonic()
    assert until(condition, within + 2.0), "it does not come back at all"
    assert time.monotonic() - start < patience(within)
    until(lambda: site.lab.routers()["r"]["state"] == "in_sync", 2.0)


def without(links, name):
    return {key: value for key, value in links.items() if key != name}


def test_hand_deleted_internal_device(site):
    r, qr, (links, rules) = site.r, site.r.device(QR_A), site.r.handles()
    r.ip(f"link del {qr}")
    back(site, lambda: r.device(QR_A) == qr)
    after, rules_after = r.handles()
    assert without(after, qr) == without(links, qr) and rules_after == rules
    assert site.a.ping(E).source == E


def test_hand_deleted_root_end(site):
    r, qr, (links, rules) = site.r, site.r.device(QR_A), site.r.handles()
    site.lab.root.ip(f"link del tap{qr[3:]}")
    back(site, lambda: r.device(QR_A) == qr)
    after, rules_after = r.handles()
    assert without(after, qr) == without(links, qr) and rules_after == rules
    assert site.a.ping(E).source == E


def test_hand_taken_from_the_bridge(site):
    tap, before = "tap" + site.r.device(QR_A)[3:], site.r.handles()
    site.lab.root.ip(f"link set {tap} nomaster")
    back(site, lambda: site.lab.root.links()[tap].get("master") == "br-a")
    assert site.r.handles() == before and site.a.ping(E)


def test_hand_set_down(site):
    r, qr, before = site.r, site.r.device(QR_A), site.r.handles()
    r.ip(f"link set {qr} down")
    back(site, lambda: "UP" in r.links()[qr]["flags"])
    assert r.handles() == before and site.a.ping(E) and until(lambda: site.e.ping(FIP))
    assert "2001:db8:a::1" in r.addresses(qr)  # the kernel takes IPv6 addresses away from a device that goes down


def test_hand_changed_mtu(site):
    r, qr, before = site.r, site.r.device(QR_A), site.r.handles()
    r.ip(f"link set {qr} mtu 1300")
    back(site, lambda: r.links()[qr]["mtu"] == 1500)
    assert r.handles() == before


def test_hand_deleted_gateway_address(site):
    r, qg, before = site.r, site.r.gateway(), site.r.handles()
    r.ip(f"addr del {GW}/24 dev {qg}")
    back(site, lambda: GW in r.addresses(qg) and r.routes("default"))
    assert r.handles() == before and site.b.ping(E)


def test_hand_deleted_floating_address(site):
    r, qg, before = site.r, site.r.gateway(), site.r.handles()
    r.ip(f"addr del {FIP}/32 dev {qg}")
    back(site, lambda: FIP in r.addresses(qg))
    assert r.handles() == before and site.e.ping(FIP)


@pytest.mark.parametrize("family", [4, 6])
def test_hand_deleted_default_route(site, family):
    r, before = site.r, site.r.handles()
    wanted = r.routes("default", family)
    r.ip(f"-{family} route del default")
    back(site, lambda: r.routes("default", family) == wanted)
    assert r.handles() == before


def test_hand_deleted_extra_route(site):
    site.update(routes=[{"destination": "10.9.0.0/16", "nexthop": B}])
    r, before = site.r, site.r.handles()
    r.ip("route del 10.9.0.0/16")
    back(site, lambda: [x["gateway"] for x in r.routes("10.9.0.0/16")] == [B])
    assert r.handles() == before


def test_hand_replaced_default_route(site):
    r, qg = site.r, site.r.gateway()
    r.ip(f"route replace default via 203.0.113.99 dev {qg} proto static")
    back(site, lambda: [x["gateway"] for x in r.routes("default")] == [E])


def test_hand_deleted_table(site):
    r, (links, _), table = site.r, site.r.handles(), site.r.table()
    r.run("nft", "delete table inet l3agent")
    back(site, lambda: "table inet l3agent" in r.nft())
    assert until(lambda: r.table() == table, 0.5)
    assert r.handles()[0] == links and site.b.ping(E) and site.e.ping(FIP)


@pytest.mark.parametrize("damage", ["flush ruleset", "flush table inet l3agent", "rule", "element", "chain"])
def test_hand_damaged_table(site, damage):
    r, table = site.r, site.r.table()
    base = [line.split()[1] for line in table.splitlines() if line.lstrip().startswith("chain ")]
    if damage == "rule":
        listing = r.nft(handles=True).splitlines()
        chain = None
        for line in listing:
            words = line.split()
            if words[:1] == ["chain"]:
                chain = words[1]
            elif chain and "# handle" in line and "snat" in line:
                r.run("nft", f"delete rule inet l3agent {chain} handle {words[-1]}")
                break
        else:
            raise AssertionError("no snat rule")
    elif damage == "element":
        name = next(line.split()[1] for line in element_owners(table) if FIP in element_text(table, line.split()[1]))
        r.run("nft", f"flush map inet l3agent {name}")
    elif damage == "chain":
        r.run("nft", f"add rule inet l3agent {base[0]} counter drop")
    else:
        r.run("nft", damage)
    back(site, lambda: "table inet l3agent" in r.nft() and r.table() == table)
    assert until(lambda: "changed by somebody else" in site.lab.log(), 0.5), "there was no damage"
    assert site.b.ping(E) and site.e.ping(FIP)


def element_owners(table):
    return [line for line in table.splitlines() if line.lstrip().startswith("map ")]


def element_text(table, name):
    return table.split(f"map {name} ", 1)[1].split("\t}\n", 1)[0]


def test_hand_added_foreign_table_stays(site):
    r = site.r
    r.run("nft", "add table inet theirs")
    r.ip("link add vpn0 type veth peer name vpn1")
    r.ip("link set vpn0 up")
    r.ip("route add 198.18.99.0/24 dev vpn0")  # protocol boot: not ours
    assert site.lab.resync()["writes"] == 0
    assert "table inet theirs" in r.nft() and r.routes("198.18.99.0/24")


def test_hand_deleted_namespace(site):
    lab = site.lab
    lab.write("other.yaml", [{"name": "other", "interfaces": [{"network": "a", "fixed_ips": ["10.0.0.2/24"]}]}])
    lab.resync()
    other = lab.router("other").handles()
    lab.root.ip("netns del " + lab.routers()["r"]["namespace"])
    back(site, lambda: len(lab.namespaces()) == 2 and lab.routers()["r"]["state"] == "in_sync" and
         open_devices(lab.routers()["r"]["namespace"]), within=3.0)
    assert site.e.ping(FIP) and site.b.ping(E)
    assert lab.router("other").handles() == other


def open_devices(name):
    ns = open_namespace(name)
    try:
        return {GW, FIP, QR_A} <= set(ns.addresses())
    finally:
        ns.close()


def test_deletions_are_logged_with_what_was_missing(site):
    site.r.run("nft", "delete table inet l3agent")
    site.r.ip(f"addr del {FIP}/32 dev {site.r.gateway()}")
    assert until(lambda: FIP in site.r.addresses() and "table inet l3agent" in site.r.nft(), 2.0)
    assert until(lambda: any(FIP in line and " r" in line for line in site.lab.log().splitlines()), 1.0)


def test_flows_of_a_guest_survive_a_lost_table(site):
    """The address is known to conntrack: an established flow outlives the second without rules."""
    site.lab.serve(site.e, 7)
    assert site.b.ping(E)
    talk = site.b.talk(E, 7)
    site.r.run("nft", "delete table inet l3agent")
    assert until(lambda: "table inet l3agent" in site.r.nft(), 1.0)
    assert talk.alive()


def test_decommission_of_one_router_and_of_all(site):
    lab = site.lab
    lab.write("other.yaml", [{"name": "other", "interfaces": [{"network": "a", "fixed_ips": ["10.0.0.2/24"]}]}])
    lab.resync()
    kept = site.r.handles()
    create_namespace("foo-1").close()
    lab.stop()
    assert lab.run_daemon("--decommission", "other")[0] == 0
    assert len(lab.namespaces()) == 1 and lab.space(lab.namespaces()[0]).handles() == kept
    assert lab.run_daemon("--decommission")[0] == 0
    assert lab.namespaces() == [] and lab.namespaces("foo-")
    assert not [name for name in lab.root.links() if name.startswith("tap")]
