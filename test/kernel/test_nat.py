# SPDX-License-Identifier: GPL-3.0-or-later
"""NAT in packet terms: rows FIP-01 to FIP-21 and LEG-06, -14, -15 of the contract. What A or E "sees" is read from the
frames on its own device."""

import time

import pytest

from packets import ICMP, IP, IPv6, until
from topology import A, A2, A6, B, BEYOND, E, E6, FIP, FIP2, GW, GW6, QR_B


def seen_source(host, act, layer=ICMP, dev="eth0", **fields):
    """The source address of the first such packet that host receives while act() runs."""
    with host.capture(dev) as capture:
        result = act()
        assert until(lambda: [f for f in capture.select(layer, **fields) if not f.sent and IP in f], 1), \
            [f.summary() for f in capture.read()]
        packet = [f for f in capture.select(layer, **fields) if not f.sent and IP in f][0]
    return packet[IP].src, result


def test_fip_01_outside_reaches_guest(site):
    site.lab.serve(site.a, 7, "tcp")
    site.lab.serve(site.a, 7, "udp")
    source, reply = seen_source(site.a, lambda: site.e.ping(FIP), type=8)
    assert source == E and reply.source == FIP and reply.ttl == 63
    talk = site.e.talk(FIP, 7)
    assert (talk.server, talk.seen) == ("A", E) and talk.alive()
    assert site.e.ask(FIP, 7)[:2] == ("A", E)


def test_fip_02_guest_leaves_with_its_floating_ip(site):
    site.lab.serve(site.e, 7, "tcp")
    source, reply = seen_source(site.e, lambda: site.a.ping(E), type=8)
    assert source == FIP and reply.source == E
    assert site.a.talk(E, 7).seen == FIP


def test_fip_03_guest_without_floating_ip_leaves_with_gateway_address(site):
    site.lab.serve(site.e, 7, "tcp")
    site.lab.serve(site.e, 7, "udp")
    source, reply = seen_source(site.e, lambda: site.b.ping(E), type=8)
    assert source == GW and reply.source == E
    talk = site.b.talk(BEYOND, 7)
    assert talk.seen == GW and talk.alive()
    assert site.b.ask(E, 7)[1] == GW


def test_fip_04_east_west_is_not_translated(site):
    site.lab.serve(site.a, 7)
    site.lab.serve(site.b, 7)
    source, reply = seen_source(site.a, lambda: site.b.ping(A), type=8)
    assert source == B and reply.source == A
    source, reply = seen_source(site.b, lambda: site.a.ping(B), type=8)
    assert source == A and reply.source == B
    assert site.a.talk(B, 7).seen == A
    assert site.b.talk(A, 7).seen == B
    assert not any("203.0.113." in flow for flow in site.r.conntrack() if f"src={B} dst={A}" in flow)


def test_fip_05_hairpin(site):
    site.lab.serve(site.a, 7)
    source, reply = seen_source(site.a, lambda: site.b.ping(FIP), type=8)
    assert source == GW and reply.source == FIP
    assert site.b.talk(FIP, 7).seen == GW


def test_fip_06_guest_reaches_itself_by_its_floating_ip(site):
    source, reply = seen_source(site.a, lambda: site.a.ping(FIP), type=8)
    assert source == FIP and reply.source == FIP


def test_fip_07_floating_ip_to_floating_ip(site):
    site.update(floatingips=[{"floating_ip_address": FIP, "fixed_ip_address": A},
                             {"floating_ip_address": FIP2, "fixed_ip_address": B}])
    site.lab.serve(site.a, 7)
    source, reply = seen_source(site.a, lambda: site.b.ping(FIP), type=8)
    assert source == FIP2 and reply.source == FIP
    assert site.b.talk(FIP, 7).seen == FIP2


def test_fip_08_router_reaches_floating_ip(site):
    source, reply = seen_source(site.a, lambda: site.r.ping(FIP), type=8)
    assert source == GW and reply.source == FIP


def test_fip_09_gateway_address_answers_untranslated(site):
    for guest in (site.a, site.b):
        reply = guest.ping(GW)
        assert reply.source == GW and reply.ttl == 64
    assert all(f"src={GW} dst=10." in flow for flow in site.r.conntrack("-p", "icmp", "--orig-dst", GW))


def test_fip_10_routed_access_from_outside(site):
    site.e.ip(f"route add 10.0.0.0/24 via {GW}")
    source, reply = seen_source(site.a, lambda: site.e.ping(A), type=8)
    assert source == E and reply.source == A


def test_fip_11_leg_14_same_subnet_client(site):
    site.lab.serve(site.a, 7)
    source, reply = seen_source(site.a, lambda: site.a2.ping(FIP), type=8)
    assert source == GW and reply.source == FIP
    talk = site.a2.talk(FIP, 7)
    assert (talk.server, talk.seen) == ("A", GW) and talk.alive()


def test_fip_12_source_behind_a_guest(site):
    site.b.ip("addr add 172.16.0.9/32 dev lo")
    site.update(routes=[{"destination": "172.16.0.0/16", "nexthop": B}])
    source, reply = seen_source(site.e, lambda: site.b.ping(E, source="172.16.0.9"), type=8)
    assert source == GW and reply.source == E


@pytest.fixture
def routed(lab):
    from topology import ROUTER, Site

    return Site(lab, external_gateway_info={**ROUTER["external_gateway_info"], "enable_snat": False})


def test_fip_13_without_snat(routed):
    routed.e.ip(f"route add 10.1.0.0/24 via {GW}")
    source, reply = seen_source(routed.e, lambda: routed.b.ping(E), type=8)
    assert source == B and reply.source == E
    source, _ = seen_source(routed.e, lambda: routed.a.ping(E), type=8)
    assert source == FIP
    source, reply = seen_source(routed.a, lambda: routed.e.ping(FIP), type=8)
    assert source == E and reply.source == FIP
    source, _ = seen_source(routed.a, lambda: routed.b.ping(FIP), type=8)
    assert source == GW
    source, _ = seen_source(routed.a, lambda: routed.a.ping(FIP), type=8)
    assert source == FIP


def test_fip_13_snat_switched_while_running(site):
    info = site.router["external_gateway_info"]
    assert seen_source(site.e, lambda: site.b.ping(E), type=8)[0] == GW
    site.update(external_gateway_info={**info, "enable_snat": False})
    site.e.ip(f"route add 10.1.0.0/24 via {GW}")
    assert seen_source(site.e, lambda: site.b.ping(E), type=8)[0] == B
    site.update(external_gateway_info=info)
    assert seen_source(site.e, lambda: site.b.ping(E), type=8)[0] == GW


def test_leg_15_reply_comes_from_floating_ip_without_snat(routed):
    reply = routed.a2.ping(FIP)
    assert reply.type == 0 and reply.source == FIP


def test_fip_14_second_gateway_address_is_no_snat_source(site):
    info = site.router["external_gateway_info"]
    site.update(external_gateway_info={**info, "external_fixed_ips": [f"{GW}/24", "203.0.113.9/24", f"{GW6}/64"]})
    assert seen_source(site.e, lambda: site.b.ping(E), type=8)[0] == GW
    assert site.e.ping("203.0.113.9").source == "203.0.113.9"


def test_fip_15_first_ipv4_is_the_snat_source_wherever_it_stands(site):
    info = site.router["external_gateway_info"]
    site.update(external_gateway_info={**info, "external_fixed_ips": [f"{GW6}/64", "203.0.113.9/24", f"{GW}/24"]})
    assert seen_source(site.e, lambda: site.b.ping(E), type=8)[0] == "203.0.113.9"
    assert seen_source(site.a, lambda: site.b.ping(FIP), type=8)[0] == "203.0.113.9"


def test_fip_16_source_ports_are_fully_random(site):
    for port in range(4):
        site.lab.serve(site.e, 9000 + port, "udp")
    b_ports = [site.b.ask(E, 9000 + n, source_port=5000)[2] for n in range(4)]
    a_ports = [site.a.ask(E, 9000 + n, source_port=5000)[2] for n in range(4)]
    # A port that is kept, or that depends on the client alone, shows as one value in all four.
    assert len(set(b_ports)) > 2 and len(set(a_ports)) > 2
    assert b_ports.count(5000) < 2 and a_ports.count(5000) < 2


def test_fip_17_ttl_exceeded_and_fragmentation_needed(site):
    hop = site.e.ping(FIP, ttl=1)
    assert hop.type == 11 and hop.source in (GW, FIP)
    assert site.e.ping(FIP, ttl=2).source == FIP
    assert site.b.ping(BEYOND, ttl=1).source == QR_B
    assert site.b.ping(BEYOND, ttl=2).type == 0
    site.router["interfaces"][0]["mtu"] = 1400
    site.update()
    big = site.e.ping(FIP, size=1450, df=True)
    assert (big.type, big.code, big.mtu) == (3, 4, 1400) and big.source in (GW, FIP)
    assert site.e.ping(FIP, size=1372, df=True).type == 0


def move(site):
    site.lab.serve(site.a, 7)
    site.lab.serve(site.a2, 7)
    old = site.e.talk(FIP, 7)
    assert old.server == "A" and old.alive()
    site.update(floatingips=[{"floating_ip_address": FIP, "fixed_ip_address": A2}])
    new = site.e.talk(FIP, 7)
    assert new.server == "A2" and new.seen == E
    return old


def test_fip_18_moved_floating_ip_keeps_established_flows(site):
    assert move(site).alive()


def test_defect_5_moved_floating_ip_flushes_flows_as_an_option(lab):
    from topology import Site

    lab.settings["nat"] = {"flush_moved_floatingips": True}
    assert not move(Site(lab)).alive(0.5)


def test_fip_19_router_never_answers_for_a_floating_ip(site):
    """The rule is there before the address: an echo reply of the router itself would come with TTL 64. The outside knows
    the MAC address already, so that its packets wait at the door."""
    mac = site.r.mac(site.r.gateway())
    for n in range(10):
        address = f"203.0.113.{30 + n}"
        site.b.ip(f"addr add 10.1.0.{30 + n}/32 dev lo")
        site.e.ip(f"neigh replace {address} lladdr {mac} dev eth0 nud permanent")
        flood = site.e.flood(address)
        site.lab.ask("floatingip_add", router="r", floating_ip_address=address,
                     fixed_ip_address=f"10.1.0.{30 + n}")
        time.sleep(0.05)
        ttls = flood.stop()
        assert set(ttls) == {63}, ttls


def test_fip_19_added_again_while_somebody_goes_on_asking(site):
    """Whoever still has the address in his neighbour cache sends all the time; what conntrack knows of these packets is
    of no use once the address is back, and must not lead them to the router itself."""
    site.lab.ctl("floatingip", "add", "r", FIP2, B)
    assert site.e.ping(FIP2)
    site.lab.ctl("floatingip", "del", "r", FIP2)
    probe = site.e.probe(FIP2)
    assert until(lambda: probe.sent > 10)
    site.lab.ctl("floatingip", "add", "r", FIP2, B)
    assert until(lambda: len(probe.answered) > 5), "the floating IP does not answer"
    probe.lost()
    assert {(reply.source, reply.ttl) for reply in probe.answered.values()} == {(FIP2, 63)}


def test_fip_20_removed_floating_ip_leaves_nothing(site):
    site.lab.serve(site.a, 7)
    site.lab.serve(site.e, 7)
    inward, outward, other = site.e.talk(FIP, 7), site.a.talk(E, 7), site.b.talk(E, 7)
    assert outward.seen == FIP and other.seen == GW and inward.alive()
    qg = site.r.gateway()
    site.update(floatingips=[])
    assert FIP not in site.r.addresses(qg)
    assert site.e.arp(FIP, within=0.5) is None
    # A packet that comes later still makes a flow of its own, which leads nowhere.
    assert not [flow for flow in site.r.conntrack() if f"={FIP} " in flow and f"={A} " in flow]
    assert other.alive()
    assert not inward.alive(0.5) and not outward.alive(0.5)
    assert seen_source(site.e, lambda: site.a.ping(E), type=8)[0] == GW


def test_fip_21_stale_address_on_the_gateway_is_removed(site):
    site.lab.stop()
    qg = site.r.gateway() if site.lab.daemon else None
    r = site.lab.space(site.lab.namespaces()[0])
    qg = next(name for name in r.links() if name.startswith("qg-"))
    r.ip(f"addr add 203.0.113.77/32 dev {qg}")
    r.run("conntrack", "-I", "-p", "tcp", "-s", E, "-d", "203.0.113.77", "--sport", "4000", "--dport", "80",
          "--state", "ESTABLISHED", "-t", "600", check=True)
    site.lab.start()
    assert sorted(a for a in r.addresses(qg) if ":" not in a) == [GW, FIP]
    assert not r.conntrack("--orig-dst", "203.0.113.77")


def test_leg_06_conntrack_of_a_disassociated_floating_ip(site):
    site.lab.serve(site.a, 7)
    r = site.r
    assert len(r.conntrack("-p", "tcp", "--orig-dst", FIP)) == 0
    talk = site.e.talk(FIP, 7)
    assert len(r.conntrack("-p", "tcp", "--orig-dst", FIP)) == 1
    site.update(floatingips=[])
    assert not [flow for flow in r.conntrack("-p", "tcp", "--orig-dst", FIP) if f"={A} " in flow]
    assert not talk.alive(0.5)


def test_ipv6_is_routed_and_not_translated(site):
    site.r.settled()
    with site.e.capture("eth0") as capture:
        assert site.a.ping(E6, within=5).source == E6
        assert A6 in {f[IPv6].src for f in capture.read() if IPv6 in f}
    assert site.e.ping(A6).source == A6


def test_many_flows_at_once_through_one_gateway_address(site):
    """Source ports are the router's to choose: 200 flows from two guests with equal source ports, all answered."""
    site.lab.serve(site.e, 7, "udp")
    site.update(floatingips=[])
    answers, guests = [], (site.a, site.b)
    for port in range(100):
        for guest in guests:
            answers.append(guest.ask(E, 7, source_port=20000 + port))
    assert None not in answers
    assert {seen for _, seen, _ in answers} == {GW}
    assert len({port for _, _, port in answers}) == len(answers)
