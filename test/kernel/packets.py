# SPDX-License-Identifier: GPL-3.0-or-later
"""Real packets: captures, pings, probes that count, echo servers. All of it by sockets that were born in the namespace
concerned and are then used from wherever the test runs: a socket stays in the namespace that it was born in."""

import os
import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass

from scapy.layers.inet import ICMP, IP, TCP, UDP  # noqa: F401 (for the tests)
from scapy.layers.inet6 import ICMPv6ND_NA, IPv6  # noqa: F401
from scapy.layers.l2 import ARP, Ether

ETH_P_ALL = 3
SO_TIMESTAMPNS = 35
PACKET_OUTGOING = 4


def until(condition, within=3.0, every=0.01):
    """The first true value of condition(), or its last value when the time is over."""
    end = time.monotonic() + within
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(every)


class Capture:
    """Every frame of one device from now on, in both directions. The kernel's socket buffer keeps them until they are
    asked for, so nothing has to run meanwhile."""

    def __init__(self, ns, dev):
        with ns:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self.socket.bind((dev, ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setblocking(False)
        self.frames = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def read(self):
        """All frames so far, as scapy packets: .time is the arrival, .sent tells whether the device's owner sent it."""
        while True:
            try:
                data, control, _, address = self.socket.recvmsg(65536, 256)
            except BlockingIOError:
                return self.frames
            except OSError:  # the device went down or away
                continue
            frame = Ether(data)
            for _, _, value in control:
                seconds, nanoseconds = struct.unpack("qq", value[:16])
                frame.time = seconds + nanoseconds / 1e9
            frame.sent = address[2] == PACKET_OUTGOING
            self.frames.append(frame)

    def select(self, layer, **fields):
        """The frames that have this layer with these field values."""
        return [f for f in self.read() if layer in f and all(getattr(f[layer], k) == v for k, v in fields.items())]

    def wait(self, layer, within=2.0, **fields):
        """The first such frame; None if none comes in time."""
        found = until(lambda: self.select(layer, **fields), within)
        return found[0] if found else None


@dataclass
class Reply:
    source: str
    ttl: int
    type: int
    code: int
    seq: int
    mtu: int = 0


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


class Echo:
    """ICMP echo requests of one identifier to one address."""

    serial = 0x1000

    def __init__(self, ns, target, source=None, ttl=None, size=56, df=False):
        Echo.serial += 1
        self.id, self.target, self.size = Echo.serial & 0xffff, target, size
        self.v6 = family_of(target) == socket.AF_INET6
        with ns:
            self.socket = socket.socket(family_of(target), socket.SOCK_RAW,
                                        socket.IPPROTO_ICMPV6 if self.v6 else socket.IPPROTO_ICMP)
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)
        if self.v6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        if ttl:
            self.socket.setsockopt(*((socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if self.v6
                                     else (socket.IPPROTO_IP, socket.IP_TTL)), ttl)
        if df:
            self.socket.setsockopt(socket.IPPROTO_IP, 10, 3)  # IP_MTU_DISCOVER: IP_PMTUDISC_PROBE
        if source:
            self.socket.bind((source, 0))
        self.socket.setblocking(False)

    def close(self):
        self.socket.close()

    def send(self, seq):
        head = struct.pack("!BBHHH", 128 if self.v6 else 8, 0, 0, self.id, seq & 0xffff)
        body = bytes(self.size)
        if not self.v6:
            head = struct.pack("!BBHHH", 8, 0, checksum(head + body), self.id, seq & 0xffff)
        self.socket.sendto(head + body, (self.target, 0))

    def receive(self):
        """Answers that have arrived: echo replies, and ICMP errors that quote one of our requests."""
        replies = []
        while True:
            try:
                data, control, _, address = self.socket.recvmsg(65536, 256)
            except BlockingIOError:
                return replies
            except OSError:
                continue
            reply = self.parse6(data, control, address) if self.v6 else self.parse4(data, address)
            if reply:
                replies.append(reply)

    def parse4(self, data, address):
        ttl, data = data[8], data[(data[0] & 15) * 4:]
        kind, code = data[0], data[1]
        if kind == 0 and struct.unpack_from("!H", data, 4)[0] == self.id:
            return Reply(address[0], ttl, kind, code, struct.unpack_from("!H", data, 6)[0])
        if kind in (3, 11):
            quoted = data[8 + (data[8] & 15) * 4:]
            if len(quoted) >= 8 and quoted[0] == 8 and struct.unpack_from("!H", quoted, 4)[0] == self.id:
                return Reply(address[0], ttl, kind, code, struct.unpack_from("!H", quoted, 6)[0],
                             struct.unpack_from("!H", data, 6)[0])
        return None

    def parse6(self, data, control, address):
        kind, code = data[0], data[1]
        ttl = next((struct.unpack("i", value)[0] for level, what, value in control if what == socket.IPV6_HOPLIMIT), 0)
        if kind == 129 and struct.unpack_from("!H", data, 4)[0] == self.id:
            return Reply(address[0], ttl, kind, code, struct.unpack_from("!H", data, 6)[0])
        if kind in (1, 2, 3) and len(data) >= 56 and struct.unpack_from("!H", data, 52)[0] == self.id:
            return Reply(address[0], ttl, kind, code, struct.unpack_from("!H", data, 54)[0],
                         struct.unpack_from("!I", data, 4)[0])
        return None


def ping(ns, target, within=3.0, every=0.1, **options):
    """The first answer to repeated echo requests; None if there is none in time."""
    echo = Echo(ns, target, **options)
    end, seq, due = time.monotonic() + within, 0, 0.0
    try:
        while time.monotonic() < end:
            if time.monotonic() >= due:
                due, seq = time.monotonic() + every, seq + 1
                try:
                    echo.send(seq)
                except OSError:  # no route yet
                    pass
            replies = echo.receive()
            if replies:
                return replies[0]
            time.sleep(0.001)
        return None
    finally:
        echo.close()


class Probe(threading.Thread):
    """An echo request every 10 ms, each with its number; `first` is the time of the first answer. lost() stops it, gives
    stragglers their time, and tells which numbers were never answered."""

    running = set()

    def __init__(self, ns, target, every=0.01, **options):
        super().__init__(daemon=True)
        Probe.running.add(self)
        self.echo = Echo(ns, target, **options)
        self.every, self.sent, self.answered, self.errors, self.first = every, 0, {}, [], None
        self.stopping = threading.Event()
        self.start()

    def run(self):
        due = time.monotonic()
        while not self.stopping.is_set():
            self.sent += 1
            try:
                self.echo.send(self.sent)
            except OSError as error:
                self.errors.append((self.sent, error))
            due += self.every
            while True:
                self.collect()
                left = due - time.monotonic()
                if left <= 0:
                    break
                time.sleep(min(left, 0.001))

    def collect(self):
        for reply in self.echo.receive():
            if reply.type in (0, 129):
                self.first = self.first or time.monotonic()
                self.answered.setdefault(reply.seq, reply)

    def halt(self):
        Probe.running.discard(self)
        self.stopping.set()
        self.join()

    def lost(self):
        self.halt()
        until(lambda: self.collect() or len(self.answered) == self.sent, 1.0)
        self.echo.close()
        return [n for n in range(1, self.sent + 1) if n not in self.answered]


class Flood(threading.Thread):
    """Echo requests as fast as they go, each with an identifier of its own and so a flow of its own. stop() gives the
    TTLs of the answers, counted."""

    def __init__(self, ns, target):
        super().__init__(daemon=True)
        self.target, self.ttls, self.stopping = target, {}, threading.Event()
        with ns:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
        self.socket.setblocking(False)
        self.start()

    def run(self):
        number = 0
        while not self.stopping.is_set():
            number += 1
            head = struct.pack("!BBHHH", 8, 0, 0, number & 0xffff, number >> 16)
            head = struct.pack("!BBHHH", 8, 0, checksum(head), number & 0xffff, number >> 16)
            try:
                self.socket.sendto(head, (self.target, 0))
            except OSError:
                pass

    def stop(self):
        self.stopping.set()
        self.join()
        time.sleep(0.05)
        while True:
            try:
                data, address = self.socket.recvfrom(2048)
            except BlockingIOError:
                break
            if data[(data[0] & 15) * 4] == 0 and address[0] == self.target:
                self.ttls[data[8]] = self.ttls.get(data[8], 0) + 1
        self.socket.close()
        return self.ttls


class Servers(threading.Thread):
    """TCP and UDP servers in any number of namespaces, one thread for all. Each tells a client "address port" as the
    server sees it and then sends back whatever comes, with the server's name in front of a datagram."""

    def __init__(self):
        super().__init__(daemon=True)
        self.selector = selectors.DefaultSelector()
        self.wake, self.woken = os.pipe()
        self.selector.register(self.wake, selectors.EVENT_READ, None)
        self.open = []
        self.start()

    def listen(self, ns, port, kind=socket.SOCK_STREAM, name="", proto=0, family=socket.AF_INET6):
        with ns:
            server = socket.socket(family, kind, proto)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
        if kind == socket.SOCK_STREAM:
            server.listen(64)
        self.open.append(server)
        self.selector.register(server, selectors.EVENT_READ, (self.accept if kind == socket.SOCK_STREAM
                                                              else self.answer, name))
        os.write(self.woken, b".")
        return server

    def accept(self, server, name):
        client, address = server.accept()
        client.sendall(f"{name} {plain(address[0])} {address[1]}\n".encode())
        self.open.append(client)
        self.selector.register(client, selectors.EVENT_READ, (self.echo, name))

    def answer(self, server, name):
        data, address = server.recvfrom(65536)
        server.sendto(f"{name} {plain(address[0])} {address[1]} ".encode() + data, address)

    def echo(self, client, _):
        data = client.recv(65536)
        if data:
            client.sendall(data)
        else:
            self.selector.unregister(client)
            client.close()

    def run(self):
        while True:
            for key, _ in self.selector.select():
                if key.data is None:
                    if os.read(self.wake, 1) == b"x":
                        return
                    continue
                act, name = key.data
                try:
                    act(key.fileobj, name)
                except OSError:
                    if act == self.echo:
                        self.selector.unregister(key.fileobj)
                        key.fileobj.close()

    def close(self):
        os.write(self.woken, b"x")
        self.join()
        for each in self.open:
            each.close()


def plain(address):
    """10.0.0.1 for ::ffff:10.0.0.1"""
    return address[7:] if address.startswith("::ffff:") else address


class Talk:
    """A client's TCP connection to one of the Servers: who answered, and from which address it saw us come."""

    def __init__(self, ns, address, port, source=None, source_port=0, within=2.0):
        with ns:
            self.socket = socket.socket(family_of(address), socket.SOCK_STREAM)
        self.socket.settimeout(within)
        if source or source_port:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind((source or "", source_port))
        try:
            self.socket.connect((address, port))
            self.stream = self.socket.makefile("rb")
            self.server, self.seen, seen_port = self.stream.readline().decode().rstrip("\n").split(" ")
            self.seen_port = int(seen_port)
        except BaseException:
            self.socket.close()
            raise

    def alive(self, within=1.0):
        """Does a byte still make the round?"""
        self.socket.settimeout(within)
        try:
            self.socket.sendall(b"x")
            return self.socket.recv(1) == b"x"
        except OSError:
            return False

    def close(self):
        self.socket.close()


def ask(ns, address, port, payload=b"hello", within=2.0, source_port=0, kind=socket.SOCK_DGRAM, proto=0):
    """One datagram and its answer: (server, our address as it saw it, port), or None. Sent again every 200 ms."""
    with ns:
        client = socket.socket(family_of(address), kind, proto)
    client.settimeout(0.2)
    try:
        if source_port:
            client.bind(("", source_port))
        end = time.monotonic() + within
        while time.monotonic() < end:
            try:
                client.sendto(payload, (address, port))
                server, seen, seen_port, body = client.recv(65536).split(b" ", 3)
                assert body == payload
                return server.decode(), seen.decode(), int(seen_port)
            except OSError:
                time.sleep(0.01)
        return None
    finally:
        client.close()


def arp(ns, dev, target, within=1.0, every=0.2):
    """Who answers an ARP request for target on dev: a MAC address, or None."""
    with ns:
        probe = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
        probe.bind((dev, 0x0806))
        source = next(a for a in ns.addresses(dev) if ":" not in a)
        mac = ns.mac(dev)
    probe.settimeout(every)
    request = bytes(Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=mac, psrc=source, pdst=target))
    end = time.monotonic() + within
    try:
        while time.monotonic() < end:
            probe.send(request)
            pause = time.monotonic() + every
            while time.monotonic() < pause:
                try:
                    answer = Ether(probe.recv(2048))
                except TimeoutError:
                    break
                if answer[ARP].op == 2 and answer[ARP].psrc == target and answer[ARP].hwdst == mac:
                    return answer[ARP].hwsrc
        return None
    finally:
        probe.close()
