# SPDX-License-Identifier: GPL-3.0-or-later
"""Port forwarding: the PF rows of the contract that concern legacy routers, and upstream's defect 14."""

import socket

import pytest
from scapy.layers.sctp import SCTP, SCTPChunkInit

from packets import IP, TCP, until
from topology import A, A2, B, E, FIP, FIP2, FIP3, GW


def forward(address, external, internal_ip, internal, protocol="tcp"):
    return {"floating_ip_address": address, "protocol": protocol, "external_port": external,
            "internal_ip_address": internal_ip, "internal_port": internal}


def serve(site, host, *ports, protocol="tcp"):
    """Servers that answer with their port in the place of a name."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    for port in ports:
        site.lab.servers.listen(host, port, kind, f"{host.name}:{port}")


def test_pf_01_four_forwardings_over_three_addresses(site):
    serve(site, site.a, 22)
    serve(site, site.a2, 22, 80)
    serve(site, site.b, 53, protocol="udp")
    site.update(port_forwardings=[forward(FIP2, 2222, A, 22), forward(FIP2, 2223, A2, 22), forward(FIP3, 80, A2, 80),
                                  forward("203.0.113.25", 5353, B, 53, "udp")])
    addresses = site.r.addresses(site.r.gateway())
    assert {FIP, FIP2, FIP3, "203.0.113.25"} <= set(addresses)
    assert site.e.ping(FIP2)
    for address, port, server in ((FIP2, 2222, "A:22"), (FIP2, 2223, "A2:22"), (FIP3, 80, "A2:80")):
        talk = site.e.talk(address, port)
        assert (talk.server, talk.seen) == (server, E) and talk.alive()
    assert site.e.ask("203.0.113.25", 5353)[:2] == ("B:53", E)


def test_pf_05_ranges(site):
    serve(site, site.a, *range(60, 71), protocol="udp")
    site.update(port_forwardings=[forward(FIP2, "40:50", A, "60:70", "udp"), forward(FIP3, "80:89", A, "60:64", "udp")])
    assert site.e.ping(FIP2)
    for k in range(11):
        assert site.e.ask(FIP2, 40 + k)[0] == f"A:{60 + k}"
    for k in range(10):
        assert site.e.ask(FIP3, 80 + k)[0] == f"A:{60 + k % 5}"
    assert site.e.ask(FIP2, 51, within=0.5) is None


def test_pf_06_everything_else_at_the_address_ends_at_the_router(site):
    serve(site, site.a, 22, 23)
    site.update(port_forwardings=[forward(FIP2, 2222, A, 22)])
    reply = site.e.ping(FIP2)
    assert reply.source == FIP2 and reply.ttl == 64
    assert site.e.talk(FIP2, 2222).server == "A:22"
    for port in (22, 23, 2223):
        with pytest.raises(ConnectionRefusedError):
            site.e.talk(FIP2, port, within=1)


def test_pf_07_hairpin(site):
    serve(site, site.a, 22)
    site.update(port_forwardings=[forward(FIP2, 2222, A, 22)])
    assert site.b.ping(A)
    with site.a.capture("eth0") as capture:
        talk = site.b.talk(FIP2, 2222)
        syn = capture.wait(TCP, dport=22)
    assert syn[IP].src == GW and talk.seen == GW and talk.server == "A:22"
    assert site.a2.talk(FIP2, 2222).seen == GW


@pytest.mark.parametrize("change", ["delete", "update"])
def test_pf_08_flows_of_that_port_only(site, change):
    serve(site, site.a, 22, 23)
    both = [forward(FIP2, 2222, A, 22), forward(FIP2, 2223, A, 23)]
    site.update(port_forwardings=both)
    assert site.e.ping(FIP2)
    gone, stays, fip = site.e.talk(FIP2, 2222), site.e.talk(FIP2, 2223), site.e.talk(FIP, 22)
    r = site.r
    assert len(r.conntrack("-p", "tcp", "--orig-dst", FIP2)) == 2
    site.update(port_forwardings=both[1:] + ([forward(FIP2, 2222, A2, 22)] if change == "update" else []))
    flows = r.conntrack("-p", "tcp", "--orig-dst", FIP2, "--dport", "2222")
    assert not [flow for flow in flows if f"={A} " in flow]
    assert stays.alive() and fip.alive() and not gone.alive(0.5)


def test_defect_14_every_port_of_a_range_is_flushed(site):
    serve(site, site.a, *range(60, 64))
    site.update(port_forwardings=[forward(FIP2, "40:43", A, "60:63"), forward(FIP2, 2222, A, 60)])
    assert site.e.ping(FIP2)
    talks = [site.e.talk(FIP2, port) for port in range(40, 44)]
    stays = site.e.talk(FIP2, 2222)
    site.update(port_forwardings=[forward(FIP2, 2222, A, 60)])
    flows = [flow for flow in site.r.conntrack("-p", "tcp", "--orig-dst", FIP2) if f"={A} " in flow]
    assert len(flows) == 1 and "dport=2222" in flows[0]
    assert stays.alive() and not any(talk.alive(0.2) for talk in talks)


def test_pf_09_address_goes_with_its_last_forwarding(site):
    one, two, three = forward(FIP2, 2222, A, 22), forward(FIP3, 80, A, 80), forward(FIP3, 81, A, 81)
    site.update(port_forwardings=[one, two, three])
    r, qg = site.r, site.r.gateway()
    site.update(port_forwardings=[three])
    assert FIP2 not in r.addresses(qg) and FIP3 in r.addresses(qg)
    assert site.e.arp(FIP3) == r.mac(qg) and site.e.arp(FIP2, within=0.4) is None
    site.update(port_forwardings=[])
    assert FIP3 not in r.addresses(qg)


def test_pf_10_its_guest_leaves_with_the_gateway_address(site):
    serve(site, site.e, 7)
    serve(site, site.b, 22)
    site.update(port_forwardings=[forward(FIP2, 2222, B, 22)])
    assert site.b.ping(E)
    assert site.b.talk(E, 7).seen == GW
    assert site.e.talk(FIP2, 2222).server == "B:22"


def test_pf_06_one_address_for_several_guests(site):
    serve(site, site.a, 22)
    serve(site, site.b, 22)
    site.update(port_forwardings=[forward(FIP2, 2222, A, 22), forward(FIP2, 2223, B, 22)])
    assert site.e.ping(FIP2).ttl == 64
    assert site.e.talk(FIP2, 2222).server == "A:22"
    assert site.e.talk(FIP2, 2223).server == "B:22"


def test_pf_sctp(site):
    """Byte for byte: an SCTP INIT keeps all but its destination address and port."""
    site.update(port_forwardings=[forward(FIP2, 5000, A, 5001, "sctp")])
    assert site.e.ping(FIP2)
    with site.e:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)
    init = SCTP(sport=6000, dport=5000) / SCTPChunkInit(init_tag=7, a_rwnd=65535, n_out_streams=1, n_in_streams=1,
                                                        init_tsn=1)
    with site.a.capture("eth0") as capture:
        raw.sendto(bytes(init), (FIP2, 0))
        packet = capture.wait(SCTP, dport=5001)
        assert packet, [f.summary() for f in capture.read()]
        assert (packet[IP].src, packet[IP].dst, packet[SCTP].sport) == (E, A, 6000)
    raw.close()


def test_pf_change_of_internal_port_alone(site):
    serve(site, site.a, 22, 23)
    site.update(port_forwardings=[forward(FIP2, 2222, A, 22)])
    assert site.e.ping(FIP2)
    assert site.e.talk(FIP2, 2222).server == "A:22"
    site.update(port_forwardings=[forward(FIP2, 2222, A, 23)])
    assert until(lambda: site.e.talk(FIP2, 2222).server) == "A:23"
