# SPDX-License-Identifier: GPL-3.0-or-later
"""The laboratory itself: a capture that is blind or a probe that cannot count would let tests pass for nothing."""

import errno
import os

from packets import ICMP, IP, until
from lab import open_namespace


def test_capture_sees_addresses_and_directions(lab):
    lab.bridge("br-ex")
    one = lab.host("one", "br-ex", "192.0.2.1/24")
    two = lab.host("two", "br-ex", "192.0.2.2/24")
    with two.capture("eth0") as seen:
        reply = one.ping("192.0.2.2")
        assert (reply.source, reply.type) == ("192.0.2.2", 0)
        request = seen.wait(ICMP, type=8)
        assert (request[IP].src, request[IP].dst, request.sent) == ("192.0.2.1", "192.0.2.2", False)
        assert seen.wait(ICMP, type=0).sent
    assert one.ping("192.0.2.3", within=0.3) is None
    assert one.arp("192.0.2.2") == two.mac("eth0")
    assert one.arp("192.0.2.3", within=0.3) is None


def test_probe_counts_each_lost_packet(lab):
    lab.bridge("br-ex")
    one = lab.host("one", "br-ex", "192.0.2.1/24", "2001:db8::1/64")
    two = lab.host("two", "br-ex", "192.0.2.2/24", "2001:db8::2/64")
    assert one.ping("192.0.2.2") and one.ping("2001:db8::2")
    # Drops exactly the sequence numbers 5, 6 and 9 of both families.
    two.run("nft", "add table inet t")
    two.run("nft", "add chain inet t c { type filter hook input priority 0; }")
    two.run("nft", "add rule inet t c icmp type echo-request icmp sequence { 5, 6, 9 } drop")
    two.run("nft", "add rule inet t c icmpv6 type echo-request icmpv6 sequence 5 drop")
    four, six = one.probe("192.0.2.2"), one.probe("2001:db8::2")
    until(lambda: four.sent > 30 and six.sent > 30)
    assert four.lost() == [5, 6, 9]
    assert six.lost() == [5]


def test_servers_tell_the_address_they_see(lab):
    lab.bridge("br-ex")
    one = lab.host("one", "br-ex", "192.0.2.1/24")
    two = lab.host("two", "br-ex", "192.0.2.2/24")
    for protocol in ("tcp", "udp", "udplite"):
        lab.serve(two, 7, protocol)
    assert one.ping("192.0.2.2")
    talk = one.talk("192.0.2.2", 7, source_port=4000)
    assert (talk.server, talk.seen, talk.seen_port) == ("two", "192.0.2.1", 4000)
    assert talk.alive()
    two.ip("link set eth0 down")
    assert not talk.alive(0.3)
    two.ip("link set eth0 up")
    assert until(lambda: one.ask("192.0.2.2", 7, source_port=4001)) == ("two", "192.0.2.1", 4001)
    try:
        one.talk("192.0.2.2", 8, within=1)
        assert False, "a closed port took a connection"
    except ConnectionRefusedError as error:
        assert error.errno == errno.ECONNREFUSED


def test_monitor_hears_changes_and_only_changes(lab):
    lab.bridge("br-ex")
    one = lab.host("one", "br-ex", "192.0.2.1/24")
    monitor = lab.monitor()
    lab.opened.append(open_namespace("one"))
    assert monitor.heard(0.1) == []
    lab.root.ip("addr add 192.0.2.9/32 dev br-ex")
    lab.root.run("nft", "add table inet t")
    assert {kind for _, kind, _ in monitor.heard(0.1)} == {"route", "nft"}
    assert one.addresses("eth0", lengths=True) == ["192.0.2.1/24"]
    monitor.close()


def test_sandbox_is_apart(lab):
    """Nothing of the machine's own network is in here, and what is in here is not in /run of the machine."""
    assert set(lab.root.links()) == {"lo"}
    assert os.listdir("/run/netns") == []
    assert os.getpid() < 100  # a process namespace of our own
