# SPDX-License-Identifier: GPL-3.0-or-later
"""The topology that most tests share:

    E outside 203.0.113.1, 2001:db8:ff::1         net a 10.0.0.0/24, 2001:db8:a::/64: A .5 (floating IP), A2 .6
        │  198.51.100.99 on its lo                        │
      br-ex ────── qg 203.0.113.10  router r ── qr 10.0.0.1
                                             └─ qr 10.1.0.1
                                                          │
                                                  net b 10.1.0.0/24, 2001:db8:b::/64: B .6
"""

import copy

E, E6, BEYOND = "203.0.113.1", "2001:db8:ff::1", "198.51.100.99"
GW, GW6 = "203.0.113.10", "2001:db8:ff::10"
FIP, FIP2, FIP3 = "203.0.113.20", "203.0.113.22", "203.0.113.24"
A, A2, B = "10.0.0.5", "10.0.0.6", "10.1.0.6"
A6, B6 = "2001:db8:a::5", "2001:db8:b::6"
QR_A, QR_B = "10.0.0.1", "10.1.0.1"

ROUTER = {
    "name": "r",
    "external_gateway_info": {
        "network": "public",
        "external_fixed_ips": [f"{GW}/24", f"{GW6}/64"],
        "gateway_ips": [E, E6],
    },
    "interfaces": [
        {"network": "a", "fixed_ips": [f"{QR_A}/24", "2001:db8:a::1/64"]},
        {"network": "b", "fixed_ips": [f"{QR_B}/24", "2001:db8:b::1/64"]},
    ],
    "floatingips": [{"floating_ip_address": FIP, "fixed_ip_address": A}],
}


class Site:
    """The topology with a router file r.yaml. Tests change `router`, a plain dictionary, and call update()."""

    def __init__(self, lab, start=True, **changes):
        self.lab, self.router = lab, {**copy.deepcopy(ROUTER), **changes}
        for network, bridge in (("public", "br-ex"), ("a", "br-a"), ("b", "br-b")):
            lab.bridge(bridge, network)
        self.e = lab.host("E", "br-ex", f"{E}/24", f"{E6}/64", beyond=[f"{BEYOND}/32"])
        self.e.ip("-6 route add 2001:db8:a::/64 via " + GW6)
        self.e.ip("-6 route add 2001:db8:b::/64 via " + GW6)
        self.a = lab.host("A", "br-a", f"{A}/24", f"{A6}/64", gateway=[QR_A, "2001:db8:a::1"])
        self.a2 = lab.host("A2", "br-a", f"{A2}/24", gateway=QR_A)
        self.b = lab.host("B", "br-b", f"{B}/24", f"{B6}/64", gateway=[QR_B, "2001:db8:b::1"])
        self.write()
        if start:
            lab.start()

    def write(self, **changes):
        self.router.update(changes)
        self.lab.write("r.yaml", [self.router])

    def update(self, **changes):
        """Writes the router with these keys changed, and returns when that is in force: the sync's figures."""
        self.write(**changes)
        return self.lab.resync()

    @property
    def r(self):
        return self.lab.router("r")
