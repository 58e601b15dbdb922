# SPDX-License-Identifier: GPL-3.0-or-later
"""Gateway port and routes: rows GW, RT, LEG-08, -12 of the contract, upstream's defects 1, 3 and 4."""

import copy

from packets import ICMP, IP, until
from topology import BEYOND, E, E6, FIP, GW, GW6, QR_A, ROUTER, Site


def gateway(**changes):
    return {**copy.deepcopy(ROUTER["external_gateway_info"]), **changes}


def defaults(r, family=4):
    return r.routes("default", family)


def test_gw_01_default_routes(site):
    r, qg = site.r, site.r.gateway()
    four, six = defaults(r), defaults(r, 6)
    assert [(d["gateway"], d["dev"], d["protocol"], d.get("metric")) for d in four] == [(E, qg, "static", None)]
    assert [(d["gateway"], d["dev"], d["protocol"], d["metric"]) for d in six] == [(E6, qg, "static", 1024)]


def test_gw_02_last_gateway_of_a_family_wins(site):
    site.update(external_gateway_info=gateway(gateway_ips=[E, "203.0.113.2", E6, "2001:db8:ff::2"]))
    assert [d["gateway"] for d in defaults(site.r)] == ["203.0.113.2"]
    assert [d["gateway"] for d in defaults(site.r, 6)] == ["2001:db8:ff::2"]
    site.update(external_gateway_info=gateway(gateway_ips=["203.0.113.2", E, "2001:db8:ff::2", E6]))
    assert [d["gateway"] for d in defaults(site.r)] == [E]
    assert [d["gateway"] for d in defaults(site.r, 6)] == [E6]


def test_gw_03_defect_3_extra_subnets_come_and_go(site):
    site.update(external_gateway_info=gateway(extra_subnets=["198.18.5.0/24", "2001:db8:5::/64"]))
    r, qg = site.r, site.r.gateway()
    site.e.ip("addr add 198.18.5.7/24 dev eth0")
    assert [(x["dev"], x["protocol"], x.get("gateway")) for x in r.routes("198.18.5.0/24")] == [(qg, "static", None)]
    assert [(x["dev"], x["protocol"]) for x in r.routes("2001:db8:5::/64", 6)] == [(qg, "static")]
    assert site.b.ping("198.18.5.7").source == "198.18.5.7"
    site.update(external_gateway_info=gateway())
    assert r.routes("198.18.5.0/24") == [] and r.routes("2001:db8:5::/64", 6) == []


def test_gw_04_accept_ra_without_an_ipv6_gateway(site):
    key = f"net/ipv6/conf/{site.r.gateway()}/accept_ra"
    assert site.r.sysctl(key) == "0"
    site.update(external_gateway_info=gateway(gateway_ips=[E]))
    assert site.r.sysctl(key) == "2"
    assert defaults(site.r, 6) == [] and len(defaults(site.r)) == 1
    site.update(external_gateway_info=gateway())
    assert site.r.sysctl(key) == "0" and len(defaults(site.r, 6)) == 1


def test_gw_05_other_external_network(lab):
    lab.bridge("br-ex2", "public2")
    site = Site(lab)
    r, old = site.r, site.r.gateway()
    e2 = lab.host("E2", "br-ex2", "192.0.2.1/24")
    lab.serve(e2, 7)
    site.update(external_gateway_info={"network": "public2", "external_fixed_ips": ["192.0.2.10/24"],
                                       "gateway_ips": ["192.0.2.1"]}, floatingips=[])
    gateways = [name for name in r.links() if name.startswith("qg-")]
    assert len(gateways) == 1 and gateways != [old]
    assert lab.root.links()["tap" + gateways[0][3:]]["master"] == "br-ex2"
    assert "tap" + old[3:] not in lab.root.links()
    assert site.b.ping("192.0.2.1") and site.b.talk("192.0.2.1", 7).seen == "192.0.2.10"
    assert old not in r.nft() and GW not in r.nft() and FIP not in r.nft()
    assert [d["gateway"] for d in defaults(r)] == ["192.0.2.1"] and defaults(r, 6) == []


def test_gw_06_defect_1_gateway_outside_of_the_subnet(site):
    """203.0.113.200 and 2001:db8:fe::1 are on the wire, but in no subnet of the port."""
    site.e.ip("addr add 203.0.113.200/32 dev eth0")
    site.e.ip("addr add 2001:db8:fe::1/128 dev eth0 nodad")
    site.e.ip("addr add 2001:db8:77::1/128 dev lo")
    site.update(external_gateway_info=gateway(external_fixed_ips=["203.0.113.10/26", f"{GW6}/64"],
                                              gateway_ips=["203.0.113.200", "2001:db8:fe::1"]))
    r = site.r
    r.settled()
    assert [d["gateway"] for d in defaults(r)] == ["203.0.113.200"]
    assert [d["gateway"] for d in defaults(r, 6)] == ["2001:db8:fe::1"]
    assert "via 203.0.113.200" in r.ip(f"route get {BEYOND}")
    with site.e.capture("eth0") as capture:
        assert site.b.ping(BEYOND).source == BEYOND
        assert capture.wait(ICMP, type=8)[IP].src == GW
    assert site.b.ping("2001:db8:77::1", within=5).source == "2001:db8:77::1"
    assert site.lab.resync()["writes"] == 0
    site.update(external_gateway_info=gateway())
    assert [d["gateway"] for d in defaults(r)] == [E]
    assert r.routes("203.0.113.200/32") == [] and r.routes("2001:db8:fe::1/128", 6) == []


def test_gw_07_removed_gateway_ends_its_flows(site):
    site.lab.serve(site.e, 7)
    r, talk = site.r, site.b.talk(E, 7)
    assert talk.alive() and r.conntrack("-p", "tcp", "--reply-dst", GW)
    del site.router["external_gateway_info"]
    site.update(floatingips=[])
    assert r.gateway() is None and defaults(r) == []
    assert not [flow for flow in r.conntrack() if f"={GW} " in flow and "=10.1.0.6 " in flow]
    assert not talk.alive(0.4)
    site.update(external_gateway_info=gateway())
    assert site.b.ping(E)


def test_leg_08_gateway_ip_none_keeps_the_address(site):
    site.update(external_gateway_info=gateway(gateway_ips=[]))
    assert defaults(site.r) == [] and defaults(site.r, 6) == []
    assert site.e.ping(GW).source == GW and site.e.ping(FIP).source == FIP


def test_gateway_address_changes_in_place(site):
    links = site.r.handles()[0]
    site.lab.serve(site.e, 7)
    assert site.b.ping(E)
    old = site.b.talk(E, 7)
    site.update(external_gateway_info=gateway(external_fixed_ips=["203.0.113.11/24", f"{GW6}/64"]))
    assert site.r.handles()[0] == links
    assert site.b.talk(E, 7).seen == "203.0.113.11"
    assert GW not in site.r.addresses() and not old.alive(0.4)
    assert not [flow for flow in site.r.conntrack() if f"={GW} " in flow and "=10.1.0.6 " in flow]
    assert [d["gateway"] for d in defaults(site.r)] == [E]


def test_rt_01_extra_routes_change(site):
    site.e.ip("route add 10.9.0.0/16 via " + GW)
    site.b.ip("addr add 10.9.0.1/32 dev lo")
    site.update(routes=[{"destination": "10.9.0.0/16", "nexthop": "10.1.0.6"}])
    assert [x["gateway"] for x in site.r.routes("10.9.0.0/16")] == ["10.1.0.6"]
    assert site.a.ping("10.9.0.1").source == "10.9.0.1"
    site.update(routes=[{"destination": "10.9.0.0/16", "nexthop": "10.1.0.7"}])
    assert [x["gateway"] for x in site.r.routes("10.9.0.0/16")] == ["10.1.0.7"]
    site.update(routes=[])
    assert site.r.routes("10.9.0.0/16") == []


def test_rt_01_defect_4_unreachable_nexthop_is_tried_again(lab):
    """The nexthop's network comes later than the route: that appears without being asked for again."""
    lab.networks["c"] = {"bridge": "br-c"}
    site = Site(lab)
    site.write(interfaces=site.router["interfaces"] + [{"network": "c", "fixed_ips": ["10.2.0.1/24"]}],
               routes=[{"destination": "10.9.0.0/16", "nexthop": "10.2.0.9"}])
    assert until(lambda: lab.routers()["r"]["state"] == "failed", 3.0)
    assert site.r.routes("10.9.0.0/16") == [] and site.e.ping(FIP)
    lab.bridge("br-c")
    assert until(lambda: lab.routers()["r"]["state"] == "in_sync", 1.0)
    assert [x["gateway"] for x in site.r.routes("10.9.0.0/16")] == ["10.2.0.9"]


def test_rt_02_defect_4_route_removed_while_away(site):
    site.update(routes=[{"destination": "10.9.0.0/16", "nexthop": "10.1.0.6"},
                        {"destination": "10.8.0.0/16", "nexthop": "10.1.0.6"}])
    site.lab.stop()
    site.write(routes=[{"destination": "10.8.0.0/16", "nexthop": "10.1.0.6"}])
    site.lab.start()
    assert site.r.routes("10.9.0.0/16") == [] and len(site.r.routes("10.8.0.0/16")) == 1


def test_rt_03_defect_4_route_survives_a_replug(site):
    """The kernel takes the route away with the device over which it resolves."""
    site.update(routes=[{"destination": "10.9.0.0/16", "nexthop": E}])
    r, qg = site.r, site.r.gateway()
    r.ip(f"link del {qg}")
    assert until(lambda: [x.get("gateway") for x in r.routes("10.9.0.0/16")] == [E], 1.0)
    site.update(external_gateway_info=gateway(external_fixed_ips=["203.0.113.11/24"], gateway_ips=[E]))
    assert [x["gateway"] for x in r.routes("10.9.0.0/16")] == [E]


def test_rt_04_default_as_extra_route_without_gateway(site):
    del site.router["external_gateway_info"]
    site.update(floatingips=[], routes=[{"destination": "0.0.0.0/0", "nexthop": "10.1.0.6"},
                                        {"destination": "::/0", "nexthop": "2001:db8:b::6"}])
    assert [d["gateway"] for d in defaults(site.r)] == ["10.1.0.6"]
    assert [d["gateway"] for d in defaults(site.r, 6)] == ["2001:db8:b::6"]
    site.b.ip(f"addr add {BEYOND}/32 dev lo")
    assert site.a.ping(BEYOND).source == BEYOND
    site.update(routes=[])
    assert defaults(site.r) == []


def test_leg_12_ecmp(site):
    two = [{"destination": "198.18.8.0/24", "nexthop": hop} for hop in ("10.1.0.6", "10.0.0.5")]
    site.update(routes=two)
    hops = site.r.routes("198.18.8.0/24")
    assert len(hops) == 1 and {h["gateway"] for h in hops[0]["nexthops"]} == {"10.1.0.6", "10.0.0.5"}
    assert {h["weight"] for h in hops[0]["nexthops"]} == {1}
    assert site.lab.resync()["writes"] == 0
    site.update(routes=two[:1])
    assert [(x["gateway"], "nexthops" in x) for x in site.r.routes("198.18.8.0/24")] == [("10.1.0.6", False)]


def test_leg_12_ecmp_ipv6(site):
    two = [{"destination": "2001:db8:88::/64", "nexthop": hop} for hop in ("2001:db8:a::5", "2001:db8:b::6")]
    site.update(routes=two)
    assert "2001:db8:a::5" in site.r.ip("-6 route") and "2001:db8:b::6" in site.r.ip("-6 route")
    assert site.lab.resync()["writes"] == 0
    site.update(routes=two[:1])
    assert "via 2001:db8:a::5" in site.r.ip("-6 route show 2001:db8:88::/64")
    assert "2001:db8:b::6" not in site.r.ip("-6 route show 2001:db8:88::/64")


def test_router_addresses_answer_from_every_network(site):
    assert site.b.ping(QR_A).source == QR_A and site.a.ping(QR_A).source == QR_A
