# SPDX-License-Identifier: GPL-3.0-or-later
"""Overlapping address space, and the metadata guard."""

import socket

import pytest

from packets import TCP, until
from topology import E, GW, QR_A


def test_twenty_routers_with_one_address_plan(lab):
    """Identical subnets, identical guests with identical source ports, one outside host, all at once: each answer comes
    back to the guest that asked, each under its own router's address."""
    lab.bridge("br-ex", "public")
    outside = lab.host("E", "br-ex", f"{E}/24")
    guests, routers = [], []
    for n in range(20):
        lab.bridge(f"br-{n}", f"net{n}")
        guests.append(lab.host(f"g{n}", f"br-{n}", "10.0.0.5/24", gateway="10.0.0.1"))
        routers.append({"name": f"r{n}", "interfaces": [{"network": f"net{n}", "fixed_ips": ["10.0.0.1/24"]}],
                        "external_gateway_info": {"network": "public", "gateway_ips": [E],
                                                  "external_fixed_ips": [f"203.0.113.{100 + n}/24"]}})
    lab.write("all.yaml", routers)
    lab.serve(outside, 7, "tcp")
    lab.serve(outside, 7, "udp")
    lab.start()
    assert all(guest.ping(E) for guest in guests)
    probes = [guest.probe(E) for guest in guests]
    talks = [guest.talk(E, 7, source_port=4000) for guest in guests]
    assert [talk.seen for talk in talks] == [f"203.0.113.{100 + n}" for n in range(20)]
    for n, talk in enumerate(talks):
        talk.socket.sendall(f"guest {n}".encode())
    for n, talk in enumerate(talks):
        assert talk.socket.recv(100) == f"guest {n}".encode()
    for n, guest in enumerate(guests):
        assert guest.ask(E, 7, payload=f"guest {n}".encode(), source_port=5000)[1] == f"203.0.113.{100 + n}"
    assert [len(probe.lost()) for probe in probes] == [0] * 20
    # No guest hears another's frames.
    with guests[1].capture("eth0") as capture:
        assert guests[0].ping(E)
        assert not [f for f in capture.read() if not f.sent and "ICMP" in f]


# Metadata: the redirect and its guard (rows MD-09 and -10); the listener is the test's until the proxy lands.


@pytest.fixture
def guarded(site):
    site.lab.servers.listen(site.r, 9697, socket.SOCK_STREAM, "metadata")
    for guest in (site.a, site.b):
        guest.ip(f"route add 169.254.169.254/32 via {QR_A if guest is site.a else '10.1.0.1'}")
    return site


def test_md_redirect_reaches_the_listener(guarded):
    assert guarded.a.ping(QR_A)
    talk = guarded.a.talk("169.254.169.254", 80)
    assert (talk.server, talk.seen) == ("metadata", "10.0.0.5")
    assert guarded.b.ping("10.1.0.1")
    assert guarded.b.talk("169.254.169.254", 80).seen == "10.1.0.6"
    with pytest.raises(OSError):
        guarded.a.talk("169.254.169.254", 81, within=0.5)


def test_md_redirect_ipv6(guarded):
    guarded.r.settled()
    assert guarded.a.ping("2001:db8:a::1", within=5)
    guarded.a.ip("-6 route add fe80::a9fe:a9fe/128 via 2001:db8:a::1 dev eth0")
    with guarded.a:
        scope = socket.if_nametoindex("eth0")
        client = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    client.settimeout(2)
    client.connect(("fe80::a9fe:a9fe", 80, 0, scope))
    assert client.recv(100).startswith(b"metadata fe80::")
    client.close()


def test_md_09_no_way_in_but_the_redirect(guarded):
    assert guarded.a.ping(QR_A) and guarded.e.ping(GW)
    for host, address in ((guarded.a, QR_A), (guarded.a, "10.1.0.1"), (guarded.a, GW), (guarded.b, QR_A),
                          (guarded.e, GW)):
        with host.capture("eth0") as capture:
            with pytest.raises(TimeoutError):
                host.talk(address, 9697, within=0.5)
            assert capture.select(TCP, dport=9697) and not [f for f in capture.select(TCP, sport=9697)]
    guarded.r.settled()
    with pytest.raises(TimeoutError):
        guarded.a.talk("2001:db8:a::1", 9697, within=0.5)


def test_md_10_not_from_outside(guarded):
    guarded.e.ip(f"route add 169.254.169.254/32 via {GW}")
    assert guarded.e.ping(GW)
    with pytest.raises(OSError):
        guarded.e.talk("169.254.169.254", 80, within=0.5)
    with guarded.a.capture("eth0") as capture:
        assert guarded.a.ping(QR_A)
        assert guarded.a.talk("169.254.169.254", 80).server == "metadata"
        assert until(lambda: capture.select(TCP, sport=80), 1.0)
