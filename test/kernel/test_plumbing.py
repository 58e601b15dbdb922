# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces, devices, addresses, sysctls: rows NAM, SYS, ISO and LEG-03, -07, -09 of the contract."""

import re

from lab import create_namespace
from packets import until
from topology import A, B, E, FIP, GW, GW6, QR_A, QR_B, ROUTER, Site

ID, PORT, GW_PORT = ("6a7c1f0e-3b1d-4b6e-9f10-0123456789ab", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
                     "11111111-2222-4333-8444-555555555555")


def numbered():
    """The router with ids and MAC addresses of its own."""
    info = {**ROUTER["external_gateway_info"], "id": GW_PORT, "mac_address": "fa:16:3e:00:00:01"}
    first = {**ROUTER["interfaces"][0], "id": PORT, "mac_address": "fa:16:3e:00:00:02"}
    return {"id": ID, "external_gateway_info": info, "interfaces": [first, ROUTER["interfaces"][1]]}


def test_nam_01_02_names(lab):
    site = Site(lab, **numbered())
    assert lab.namespaces() == [f"qrouter-{ID}"]
    links = site.r.links()
    assert "UP" in links["lo"]["flags"]
    assert links["qr-aaaaaaaa-bb"]["address"] == "fa:16:3e:00:00:02"
    assert links["qg-11111111-22"]["address"] == "fa:16:3e:00:00:01"
    root = lab.root.links()
    for tap, bridge in (("tapaaaaaaaa-bb", "br-a"), ("tap11111111-22", "br-ex")):
        assert root[tap]["master"] == bridge and "UP" in root[tap]["flags"]
        assert lab.root.sysctl(f"net/ipv6/conf/{tap}/disable_ipv6") == "1"
    assert not [a for link in lab.root.json("ip", "-j", "addr") if link["ifname"].startswith("tap")
                for a in link["addr_info"]]


def test_nam_02_derived_names_are_stable_and_of_neutrons_form(site):
    links = site.r.links()
    assert all(re.fullmatch(r"lo|q[rg]-[0-9a-f]{8}-[0-9a-f]{2}", name) for name in links)
    assert all(k["address"].startswith("fa:16:3e:") for name, k in links.items() if name != "lo")
    site.lab.stop()
    site.lab.root.ip("netns del " + site.lab.namespaces()[0])
    site.lab.start()
    assert {n: k["address"] for n, k in site.r.links().items()} == {n: k["address"] for n, k in links.items()}


def test_nam_05_unknown_address_goes_and_link_local_stays(site):
    r, qr = site.r, site.r.device(QR_A)
    before = r.handles()
    local = re.findall(r"inet6 (fe80::\S+)", r.ip(f"-6 addr show dev {qr}"))
    assert len(local) == 1
    r.ip(f"addr add 192.0.2.9/32 dev {qr}")
    r.ip(f"addr add 2001:db8:9::9/64 dev {qr} nodad")
    assert until(lambda: not {"192.0.2.9", "2001:db8:9::9"} & set(r.addresses(qr)), 1.0)
    assert re.findall(r"inet6 (fe80::\S+)", r.ip(f"-6 addr show dev {qr}")) == local
    assert r.handles() == before


def test_nam_06_wrong_prefix_length_is_corrected_without_a_gap(site):
    r, qr = site.r, site.r.device(QR_A)
    assert site.a.ping(E)
    site.lab.kill()
    r.batch(f"addr del {QR_A}/24 dev {qr}", f"addr add {QR_A}/16 dev {qr}", f"addr add 10.0.0.77/24 dev {qr}")
    assert site.a.ping(E)
    probes, monitor = [site.a.probe(E), site.e.probe(FIP), site.a.probe(QR_A)], site.lab.monitor()
    site.lab.start()
    assert [a for a in r.addresses(qr, lengths=True) if ":" not in a] == [f"{QR_A}/24"]
    order = [number for _, kind, number in monitor.heard() if kind == "route" and number in (20, 21)]
    assert order[0] == 20 and order.count(21) == 2, "RTM_NEWADDR first, then both RTM_DELADDR"
    monitor.close()
    assert [probe.lost() for probe in probes] == [[], [], []]


def test_nam_06_wrong_ipv6_prefix_length(site):
    r, qr = site.r, site.r.device(QR_A)
    r.settled()
    site.lab.kill()
    r.batch(f"addr del 2001:db8:a::1/64 dev {qr}", f"addr add 2001:db8:a::1/60 dev {qr} nodad")
    site.lab.start()
    assert [a for a in r.addresses(qr, lengths=True) if ":" in a] == ["2001:db8:a::1/64"]
    assert site.lab.resync()["writes"] == 0


def test_nam_07_stale_device_is_removed_at_restart(site):
    r = site.r
    site.lab.stop()
    kept = {name: link["ifindex"] for name, link in r.links().items()}
    r.ip("link add qr-deadbeef-00 type veth peer name tapdeadbeef-00")
    r.ip("link add vpn0 type veth peer name vpn1")  # somebody else's
    site.lab.start()
    after = {name: link["ifindex"] for name, link in r.links().items()}
    assert "qr-deadbeef-00" not in after and "vpn0" in after
    assert {name: after[name] for name in kept} == kept


def test_sys_01_sysctls(site):
    r, qg = site.r, site.r.gateway()
    wanted = {"net/ipv4/ip_forward": "1", "net/ipv4/conf/all/arp_ignore": "1", "net/ipv4/conf/all/arp_announce": "2",
              "net/ipv4/conf/all/promote_secondaries": "1", "net/ipv6/conf/all/forwarding": "1",
              "net/netfilter/nf_conntrack_tcp_be_liberal": "1", f"net/ipv6/conf/{qg}/forwarding": "1",
              f"net/ipv6/conf/{qg}/accept_ra": "0"}
    assert {key: r.sysctl(key) for key in wanted} == wanted


def test_sys_01_sysctls_are_mended_at_resync(site):
    site.r.sysctl("net/ipv4/ip_forward", 0)
    assert site.lab.resync()["writes"] == 1
    assert site.r.sysctl("net/ipv4/ip_forward") == "1"


def test_sys_02_rp_filter_is_what_a_fresh_namespace_has(site):
    fresh = create_namespace("fresh")
    fresh.ip("link add x type veth peer name y")
    for conf in ("all", "default", "lo"):
        key = f"net/ipv4/conf/{conf}/rp_filter"
        assert site.r.sysctl(key) == fresh.sysctl(key)
    for dev in (name for name in site.r.links() if name != "lo"):
        assert site.r.sysctl(f"net/ipv4/conf/{dev}/rp_filter") == fresh.sysctl("net/ipv4/conf/x/rp_filter")
    fresh.close()


def test_sys_03_arp_only_for_addresses_of_that_device(site):
    assert site.a.arp(QR_A) == site.r.mac(site.r.device(QR_A))
    assert site.a.arp(QR_B, within=0.5) is None
    assert site.e.arp(GW) and site.e.arp(FIP)
    assert site.e.arp(QR_A, within=0.5) is None


def test_leg_03_lifecycle(lab):
    site = Site(lab, routes=[{"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"},
                             {"destination": "2001:db8:9::/48", "nexthop": "2001:db8:a::9"}],
                **numbered())
    site.router["external_gateway_info"]["extra_subnets"] = ["198.18.5.0/24", "2001:db8:5::/64"]
    site.router["interfaces"].append({"network": "c", "fixed_ips": ["2001:db8:c::1/64", "2001:db8:d::1/64"]})
    lab.bridge("br-c", "c")
    lab.restart()
    site.update()
    r = site.r
    r.settled()
    qg, qr, dual = "qg-11111111-22", "qr-aaaaaaaa-bb", site.r.device("2001:db8:c::1")
    assert set(r.addresses(qg, lengths=True)) == {f"{GW}/24", f"{FIP}/32", f"{GW6}/64"}
    assert set(r.addresses(qr, lengths=True)) == {f"{QR_A}/24", "2001:db8:a::1/64"}
    assert set(r.addresses(dual, lengths=True)) == {"2001:db8:c::1/64", "2001:db8:d::1/64"}
    four, six = r.ip("route"), r.ip("-6 route")
    assert f"default via {E} dev {qg} proto static" in four
    assert "10.9.0.0/16 via 10.0.0.9" in four and "2001:db8:9::/48 via 2001:db8:a::9" in six
    assert re.search(rf"198.18.5.0/24 dev {qg} proto static scope link", four)
    assert re.search(rf"2001:db8:5::/64 dev {qg} proto static", six)
    assert FIP in r.table() and A in r.table()
    monitor, before = lab.monitor(), r.handles()
    assert lab.resync()["writes"] == 0
    assert monitor.heard() == [] and r.handles() == before
    monitor.close()
    lab.remove("r.yaml")
    assert until(lambda: lab.namespaces() == [], 2.0)
    assert not [name for name in lab.root.links() if name.startswith("tap")]


def test_leg_07_mtu_follows_without_a_new_device(lab):
    site = Site(lab, **numbered())
    for mtu in (1450, 1451):
        site.router["interfaces"][0]["mtu"] = site.router["external_gateway_info"]["mtu"] = mtu
        before = {name: link["ifindex"] for name, link in site.r.links().items()}
        site.update()
        links, root = site.r.links(), lab.root.links()
        assert {name: link["ifindex"] for name, link in links.items()} == before
        for dev in ("qr-aaaaaaaa-bb", "qg-11111111-22"):
            assert links[dev]["mtu"] == mtu and root["tap" + dev[3:]]["mtu"] == mtu


def test_network_mtu_is_the_default(lab):
    lab.bridge("br-small", "small", mtu=1400)
    site = Site(lab)
    site.router["interfaces"].append({"network": "small", "fixed_ips": ["10.2.0.1/24"]})
    site.update()
    links = site.r.links()
    assert links[site.r.device("10.2.0.1")]["mtu"] == 1400 and links[site.r.device(QR_A)]["mtu"] == 1500


def test_leg_09_namespace_is_rebuilt(site):
    devices = set(site.r.links())
    site.lab.root.ip("netns del " + site.lab.namespaces()[0])
    assert until(lambda: len(site.lab.namespaces()) == 1, 3.0)
    site.lab.wait()
    assert set(site.r.links()) == devices
    assert site.e.ping(FIP).source == FIP and site.b.ping(E)


def test_iso_01_same_content_again_writes_nothing(site):
    site.r.settled()
    site.a.ping(E)
    monitor, before = site.lab.monitor(), site.r.handles()
    site.write()  # noticed by inotify
    assert site.update()["writes"] == 0
    site.lab.reload()
    site.lab.wait()
    assert monitor.heard() == [] and site.r.handles() == before
    monitor.close()


def test_iso_01_a_change_touches_only_what_it_is_about(site):
    site.r.settled()
    links, rules = site.r.handles()
    monitor = site.lab.monitor()
    site.update(floatingips=site.router["floatingips"] + [{"floating_ip_address": "203.0.113.30",
                                                           "fixed_ip_address": B}])
    after_links, after_rules = site.r.handles()
    assert after_links == links
    assert re.sub(r"203\.0\.113\.30\S*( : \S+)?|10\.1\.0\.6\S*( : \S+)?|[\s,]", "", after_rules) == \
        re.sub(r"10\.1\.0\.6\S*( : \S+)?|[\s,]", "", rules)
    kinds = [(name, kind, number) for name, kind, number in monitor.heard() if kind == "route"]
    assert {number for _, _, number in kinds} <= {20, 24}, kinds  # RTM_NEWADDR and its local route
    monitor.close()


def test_interface_added_and_removed_while_running(site):
    r, before = site.r, site.r.handles()[0]
    site.lab.bridge("br-c", "c")
    site.lab.reload()
    c = site.lab.host("C", "br-c", "10.2.0.6/24", gateway="10.2.0.1")
    site.update(interfaces=site.router["interfaces"] + [{"network": "c", "fixed_ips": ["10.2.0.1/24"]}])
    assert c.ping(E) and c.ping(B)
    site.update(interfaces=site.router["interfaces"][:2])
    assert c.ping("10.2.0.1", within=0.3) is None
    assert r.handles()[0] == before


def test_port_and_router_switched_off(site):
    site.router["interfaces"][1]["admin_state_up"] = False
    site.update()
    assert site.r.device(QR_B) is None and site.a.ping(E)
    site.router["interfaces"][1]["admin_state_up"] = True
    site.update(admin_state_up=False)
    assert site.lab.namespaces() == [] and site.lab.routers()["r"]["state"] == "disabled"
    site.update(admin_state_up=True)
    assert site.b.ping(E)
