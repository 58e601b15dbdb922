# SPDX-License-Identifier: GPL-3.0-or-later
"""Gratuitous ARP and unsolicited neighbour advertisements: rows GARP-01 and -02 of the contract."""

import signal

from packets import ARP, Ether, ICMPv6ND_NA, IPv6, until
from topology import A, A2, E6, FIP, FIP2, GW, GW6, QR_A, Site


def announced(capture, address):
    return [f for f in capture.select(ARP, psrc=address, pdst=address)]


def rounds(frames):
    """Frames in groups of those that left within half a second of each other."""
    groups = []
    for frame in frames:
        if groups and frame.time - groups[-1][-1].time < 0.5:
            groups[-1].append(frame)
        else:
            groups.append([frame])
    return groups


def test_garp_01_three_rounds_of_both_forms(lab):
    site = Site(lab, start=False)
    with site.e.capture("eth0") as outside, site.a.capture("eth0") as inside:
        lab.start()
        macs = {address: site.r.mac(site.r.device(address)) for address in (GW, FIP, QR_A)}
        for capture, address in ((outside, GW), (outside, FIP), (inside, QR_A)):
            assert until(lambda: len(rounds(announced(capture, address))) == 3, 8.0), address
        for capture, address in ((outside, GW), (outside, FIP), (inside, QR_A)):
            groups, mac = rounds(announced(capture, address)), macs[address]
            for group in groups:
                assert [(f[ARP].op, f[Ether].dst, f[Ether].src, f[ARP].hwsrc) for f in group] == \
                    [(1, "ff:ff:ff:ff:ff:ff", mac, mac), (2, "ff:ff:ff:ff:ff:ff", mac, mac)]
                assert group[0][ARP].hwdst == "ff:ff:ff:ff:ff:ff" and group[1][ARP].hwdst == mac
            assert all(b[0].time - a[0].time >= 1.9 for a, b in zip(groups, groups[1:])), address
        # Nothing of one network is announced in another.
        assert not announced(outside, QR_A) and not announced(inside, GW)


def test_garp_01_neighbour_advertisements(lab):
    site = Site(lab, start=False)
    with site.e.capture("eth0") as capture:
        lab.start()
        assert until(lambda: capture.select(ICMPv6ND_NA, tgt=GW6), 6.0)
        frame = capture.select(ICMPv6ND_NA, tgt=GW6)[0]
        na, mac = frame[ICMPv6ND_NA], site.r.mac(site.r.gateway())
        assert (na.R, na.S, na.O) == (1, 0, 1)
        assert frame[IPv6].dst == "ff02::1" and frame[IPv6].hlim == 255
        assert frame[Ether].src == mac and frame["ICMPv6NDOptDstLLAddr"].lladdr == mac
        # Not before duplicate address detection is over: until then the address is not ours to announce.
        assert "tentative" not in site.r.ip(f"-6 addr show to {GW6}")


def test_garp_01_new_floating_ip_alone(site):
    with site.e.capture("eth0") as capture:
        site.lab.ctl("floatingip", "add", "r", FIP2, A2)
        assert until(lambda: len(announced(capture, FIP2)) >= 2, 1.0)
        assert announced(capture, FIP2)[0][ARP].op == 1


def test_garp_02_none_for_a_floating_ip_that_moves(site):
    with site.e.capture("eth0") as capture:
        until(lambda: len(rounds(announced(capture, FIP))) == 3, 7.0)
    with site.e.capture("eth0") as capture:
        site.update(floatingips=[{"floating_ip_address": FIP, "fixed_ip_address": A2}])
        assert not until(lambda: announced(capture, FIP), 1.0)
        site.update(floatingips=[{"floating_ip_address": FIP, "fixed_ip_address": A}])
        assert not until(lambda: announced(capture, FIP), 1.0)


def test_garp_02_restart_announces_gateway_and_internal_addresses(site):
    site.lab.stop(signal.SIGKILL)
    with site.e.capture("eth0") as outside, site.a.capture("eth0") as inside:
        site.lab.start()
        assert until(lambda: announced(outside, GW) and announced(inside, QR_A), 3.0)


def test_address_that_left_is_not_announced_any_more(site):
    """Between two rounds the floating IP goes: whoever has it next must not be talked over."""
    with site.e.capture("eth0") as capture:
        site.lab.ctl("floatingip", "add", "r", FIP2, A2)
        assert until(lambda: announced(capture, FIP2), 1.0)
        site.lab.ctl("floatingip", "del", "r", FIP2)
        capture.read().clear()
        assert not until(lambda: announced(capture, FIP2), 5.0)
        assert announced(capture, GW) or site.e.ping(E6)  # the capture is not blind
