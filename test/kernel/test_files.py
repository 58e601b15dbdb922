# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input and bad luck: what a daemon on router files says, keeps and does not do."""

import os
import re
import resource
import shutil
import subprocess
import time

import pytest

import sandbox
from lab import BUILD, SANITIZED, ControlError, patience
from packets import until
from topology import A2, E, FIP, FIP2, GW, Site

OTHER = {"name": "other", "interfaces": [{"network": "b", "fixed_ips": ["10.1.0.2/24"]}]}
GOOD = """# keep me
routers:
- name: web
  interfaces:
  - {network: a, fixed_ips: [10.0.0.1/24]}
"""


@pytest.fixture
def two(site):
    """Two routers in two files, in force."""
    site.lab.write("other.yaml", [OTHER])
    site.lab.resync()
    return site


def standing(lab):
    return {name: lab.router(name).handles() for name in lab.routers()}


# What is noticed at once


def test_edit_is_noticed_at_once(site):
    site.write(floatingips=site.router["floatingips"] + [{"floating_ip_address": FIP2, "fixed_ip_address": A2}])
    assert until(lambda: FIP2 in site.r.addresses(), 1.0)


def test_edit_in_place_is_noticed(site):
    path = os.path.join(site.lab.files, "r.yaml")
    text = open(path).read().replace(FIP, FIP2)
    with open(path, "w") as file:
        file.write(text)
    assert until(lambda: FIP2 in site.r.addresses() and FIP not in site.r.addresses(), 1.0)


def test_new_file_and_vanished_file(two):
    two.lab.write("third.yaml", [{"name": "third", "interfaces": [{"network": "b", "fixed_ips": ["10.1.0.3/24"]}]}])
    assert until(lambda: len(two.lab.namespaces()) == 3, 1.0)
    two.lab.remove("third.yaml")
    assert until(lambda: len(two.lab.namespaces()) == 2, 1.0)
    assert set(two.lab.routers()) == {"r", "other"}
    # The last file too: it vanished while we were looking.
    two.lab.remove("other.yaml")
    two.lab.remove("r.yaml")
    assert until(lambda: two.lab.namespaces() == [], 2.0)


def test_router_moves_to_another_file_untouched(two):
    before = two.r.handles()
    two.lab.write("moved.yaml", [{**OTHER, "name": "new", "interfaces": []}])
    two.lab.resync()
    two.lab.write("moved.yaml", [two.router])
    two.lab.remove("r.yaml")
    two.lab.resync()
    assert two.r.handles() == before and two.lab.routers()["r"]["file"].endswith("moved.yaml")


def test_files_that_are_not_ours_are_not_read(site):
    site.lab.write("notes.txt", "]]] not yaml")
    site.lab.write(".hidden.yaml", "]]] not yaml")
    os.mkdir(os.path.join(site.lab.files, "sub.d"))
    site.lab.resync()
    assert site.lab.status()["errors"] == [] and site.lab.check()[0] == 0


# Before "synced" nothing is removed


def after_start(two):
    """Starts, gives the daemon time to do harm, and wants everything as it was."""
    two.lab.start(ready=False)
    status = until(lambda: two.lab.status(), 3.0)
    time.sleep(0.7)
    return status


@pytest.mark.parametrize("how", ["missing", "a file", "a broken file", "a broken file beside a good one"])
def test_unreadable_source_removes_nothing(two, how):
    lab, before, spaces = two.lab, standing(two.lab), two.lab.namespaces()
    lab.stop()
    if how == "missing":
        shutil.rmtree(lab.files)
    elif how == "a file":
        shutil.rmtree(lab.files)
        open(lab.files, "w").close()
    elif how == "a broken file":
        lab.remove("other.yaml")
        lab.write("r.yaml", "routers: [")
    else:
        lab.write("other.yaml", "routers:\n- nmae: other\n")
    after_start(two)
    assert lab.namespaces() == spaces
    status = lab.status()
    assert not status["source"]["synced"] or status["source"]["held"] or status["errors"], status
    assert status["source"]["error"] or status["source"]["held"] or status["errors"], status
    if how.startswith("a broken file beside"):
        assert two.r.handles() == before["r"] and two.e.ping(FIP)
    # Mended: in sync again without a restart, and untouched.
    if how in ("missing", "a file"):
        if os.path.isfile(lab.files):
            os.unlink(lab.files)
        os.mkdir(lab.files)
    two.write()
    lab.write("other.yaml", [OTHER])
    lab.resync()
    assert standing(lab) == before


def test_directory_vanishes_while_running(two):
    before, spaces = standing(two.lab), two.lab.namespaces()
    os.rename(two.lab.files, two.lab.files + ".away")
    time.sleep(0.7)
    assert two.lab.namespaces() == spaces and two.e.ping(FIP)
    os.rename(two.lab.files + ".away", two.lab.files)
    two.lab.resync()
    assert standing(two.lab) == before


def test_empty_directory_in_place_of_the_former_one(two):
    lab, before, spaces = two.lab, standing(two.lab), two.lab.namespaces()
    os.rename(lab.files, lab.files + ".away")
    assert until(lambda: lab.status()["source"]["error"], 3.0)
    os.mkdir(lab.files)
    assert until(lambda: lab.status()["source"]["held"], 3.0)
    assert lab.namespaces() == spaces and two.e.ping(FIP)
    os.rmdir(lab.files)
    os.rename(lab.files + ".away", lab.files)
    assert until(lambda: lab.status()["routers"]["in_sync"] == 2, 3.0)
    assert standing(lab) == before


def test_directory_that_comes_file_by_file(two):
    lab, before, spaces = two.lab, standing(two.lab), two.lab.namespaces()
    lab.stop()
    os.rename(lab.files, lab.files + ".away")
    lab.start(ready=False)
    assert until(lambda: os.path.exists(lab.control), 3.0)
    assert until(lambda: lab.status()["source"]["error"], 3.0)
    os.mkdir(lab.files)
    for name in sorted(os.listdir(lab.files + ".away")):
        os.rename(os.path.join(lab.files + ".away", name), os.path.join(lab.files, name))
        time.sleep(0.5)
        assert lab.namespaces() == spaces and two.e.ping(FIP)
    assert until(lambda: lab.status()["routers"]["in_sync"] == 2, 3.0)
    assert standing(lab) == before


def test_empty_directory_is_held_until_pruned(two):
    lab, spaces = two.lab, two.lab.namespaces()
    lab.stop()
    lab.remove("r.yaml")
    lab.remove("other.yaml")
    after_start(two)
    assert lab.namespaces() == spaces and two.e.ping(FIP)
    assert lab.status()["source"]["held"] and lab.status()["orphans"] == 2
    shown = lab.ctl("prune", check=False)
    assert all(name in shown for name in spaces) and lab.namespaces() == spaces
    lab.ctl("prune", "--yes")
    assert until(lambda: lab.namespaces() == [], 2.0)
    assert not lab.status()["source"]["held"] and lab.status()["orphans"] == 0


# Faults in files


def complaint(lab, text, name="bad.yaml"):
    """What -n says of the text as a router file: it must be quick, exit 1 and name file, line and column."""
    lab.write(name, text)
    start = time.monotonic()
    status, said = lab.check()
    taken = time.monotonic() - start
    assert taken < patience(1.0), f"{taken:.1f} s"
    assert status == 1 and "Sanitizer" not in said, said
    assert re.search(rf"{name}(:\d+:\d+)?: ", said), said
    return said


BAD = {
    "unknown key": ("routers:\n- name: web\n  colour: blue\n", 3),
    "wrong type": ("routers:\n- name: web\n  interfaces: 5\n", 3),
    "not an address": ("routers:\n- name: web\n  interfaces:\n  - {network: a, fixed_ips: [10.0.0.300/24]}\n", 4),
    "prefix out of range": ("routers:\n- name: web\n  interfaces:\n  - {network: a, fixed_ips: [10.0.0.1/33]}\n", 4),
    "unknown network": ("routers:\n- name: web\n  interfaces:\n  - {network: nowhere, fixed_ips: [10.0.0.1/24]}\n", 4),
    "port out of range": (GOOD + """  external_gateway_info: {network: public, external_fixed_ips: [203.0.113.9/24]}
  port_forwardings:
  - {floating_ip_address: 203.0.113.8, protocol: tcp, external_port: 70000, internal_ip_address: 10.0.0.6,
     internal_port: 22}\n""", 8),
    "duplicate key": ("routers:\n- name: web\n  name: web2\n", 3),
    "tab": ("routers:\n-\tname: web\n\tinterfaces: []\n", None),
    "open bracket": ("routers: [\n", None),
    "anchor": ("routers:\n- &a {name: web}\n- *a\n", 2),
    "tag": ("routers:\n- !!python/object:os.system {name: web}\n", 2),
    "two documents": (GOOD + "---\n" + GOOD, None),
    "not a mapping": ("- name: web\n", 1),
    "two routers of one name": ("routers:\n- name: web\n- name: web\n", 3),
    "not UTF-8": (b"routers:\n- name: \xff\xfe\n", None),
    "zero bytes": (b"routers:\n- name: a\0b\n", None),
    "one floating IP twice": (GOOD + """  external_gateway_info: {network: public, external_fixed_ips: [203.0.113.9/24]}
  floatingips:
  - {floating_ip_address: 203.0.113.8, fixed_ip_address: 10.0.0.6}
  - {floating_ip_address: 203.0.113.8, fixed_ip_address: 10.0.0.7}\n""", 9),
}


@pytest.mark.parametrize("fault", BAD)
def test_fault_is_found_with_its_position(lab, fault):
    Site(lab, start=False)
    text, line = BAD[fault]
    said = complaint(lab, text)
    assert re.search(r"bad\.yaml:\d+:\d+: ", said), said
    if line:
        assert f"bad.yaml:{line}:" in said, said


def test_all_faults_are_listed(lab):
    Site(lab, start=False)
    said = complaint(lab, "routers:\n- name: web\n  colour: blue\n  interfaces: 5\n- name: web2\n  shape: round\n")
    assert all(f"bad.yaml:{line}:" in said for line in (3, 4, 6)), said


def test_one_floating_ip_in_two_files(lab):
    site = Site(lab, start=False)
    said = complaint(lab, [{**site.router, "name": "second"}], "second.yaml")
    assert FIP in said


def test_deep_nesting(lab):
    Site(lab, start=False)
    complaint(lab, "routers: " + "[" * 100000)
    complaint(lab, "a:\n" + "".join(" " * n + "- a:\n" for n in range(1, 2000)))


def test_alias_bomb(lab):
    Site(lab, start=False)
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    complaint(lab, "\n".join(lines) + "\n")


def test_hundred_megabytes(lab):
    site = Site(lab)
    path = os.path.join(lab.files, "huge.yaml")
    with open(path, "w") as file:
        file.write("routers:\n- name: web\n")
        for _ in range(100):
            file.write("# " + "x" * (1 << 20) + "\n")
    start = time.monotonic()
    status, said = lab.check()
    assert time.monotonic() - start < patience(1.0) and status == 1 and "huge.yaml" in said
    lab.ask("resync")
    assert until(lambda: any("huge.yaml" in e["object"] + e["text"] for e in lab.status()["errors"]), 2.0)
    peak = int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{lab.daemon.process.pid}/status").read()).group(1))
    assert SANITIZED or peak < 64 << 10, f"{peak} KiB"
    assert site.e.ping(FIP)


def test_fifo_and_device_do_not_stop_it(site):
    os.mkfifo(os.path.join(site.lab.files, "fifo.yaml"))
    os.symlink("/dev/zero", os.path.join(site.lab.files, "zero.yaml"))
    site.lab.ask("resync")
    assert until(lambda: len(site.lab.status()["errors"]) >= 2, 2.0)
    assert site.e.ping(FIP)


def test_fault_keeps_the_last_good_version(two):
    lab, before = two.lab, standing(two.lab)
    lab.write("r.yaml", "routers:\n- name: r\n  interfaces: 5\n")
    found = until(lambda: [e for e in lab.status()["errors"] if "r.yaml" in e["object"] + e["text"]], 1.0)
    assert found and "3" in found[0]["object"] + found[0]["text"]
    assert standing(lab) == before and two.e.ping(FIP)
    # Others are not held up.
    lab.write("other.yaml", [{**OTHER, "interfaces": [{"network": "b", "fixed_ips": ["10.1.0.3/24"]}]}])
    assert until(lambda: "10.1.0.3" in lab.router("other").addresses(), 1.0)
    # Mended.
    two.write()
    assert until(lambda: not lab.status()["errors"], 1.0)
    assert two.r.handles() == before["r"]


def test_empty_file_holds_no_routers(two):
    two.lab.write("empty.yaml", "")
    two.lab.write("comment.yaml", "# nothing\n")
    two.lab.write("other.yaml", "routers: []\n")
    assert until(lambda: len(two.lab.namespaces()) == 1, 1.0)
    assert two.lab.check()[0] == 0 and not two.lab.status()["errors"]


def test_settings_with_a_fault(lab):
    Site(lab, start=False)
    path = lab.configure()
    with open(path, "a") as file:
        file.write("surprise: 1\n")
    done = subprocess.run([os.path.join(BUILD, "l3agentd"), "-c", path], capture_output=True, text=True, timeout=10)
    assert done.returncode == 1 and re.search(r"l3agent\.yaml:\d+:\d+: ", done.stderr), done.stderr


def test_reload_with_a_fault_keeps_the_settings(site):
    path = site.lab.configure()
    with open(path, "a") as file:
        file.write("surprise: 1\n")
    site.lab.daemon.process.send_signal(1)
    assert until(lambda: "surprise" in site.lab.log(), 1.0)
    assert site.lab.resync()["writes"] == 0 and site.e.ping(FIP)


# Bridges


def test_missing_bridge(site):
    lab = site.lab
    lab.networks["later"] = {"bridge": "br-later"}
    lab.reload()
    lab.write("late.yaml", [{"name": "late", "interfaces": [{"network": "later", "fixed_ips": ["10.5.0.1/24"]},
                                                            {"network": "a", "fixed_ips": ["10.0.0.2/24"]}]}])
    lab.write("other.yaml", [OTHER])
    assert until(lambda: lab.routers().get("late", {}).get("state") == "failed", 2.0), lab.routers()
    assert "bridge br-later does not exist" in lab.routers()["late"]["error"]
    assert until(lambda: lab.routers()["other"]["state"] == "in_sync", 1.0)
    with pytest.raises(ControlError, match="late"):
        lab.wait(1.0)
    # What does not need the bridge is there already; the rest comes at once with the bridge.
    assert site.a.ping("10.0.0.2")
    lab.bridge("br-later")
    assert until(lambda: lab.routers()["late"]["state"] == "in_sync", 1.0)
    assert lab.router("late").device("10.5.0.1")


def test_second_bridge_when_the_first_is_full(lab):
    """1,023 ports are all that a bridge has."""
    lab.bridge("br-one", "many")
    lab.bridge("br-two", "many")
    filler = lab.root
    filler.batch(*(line for n in range(511) for line in (
        f"link add x{n} type veth peer name y{n}", f"link set x{n} master br-one", f"link set y{n} master br-one")))
    lab.write("m.yaml", [{"name": f"m{n}", "interfaces": [{"network": "many", "fixed_ips": [f"10.0.{n}.1/24"]}]}
                         for n in range(4)])
    lab.start()
    masters = [link.get("master") for name, link in lab.root.links().items() if name.startswith("tap")]
    assert sorted(masters) == ["br-one", "br-two", "br-two", "br-two"]
    assert lab.resync()["writes"] == 0


def test_full_bridge_is_a_sentence(lab):
    lab.bridge("br-one", "many")
    lab.root.batch(*(line for n in range(512) for line in (
        f"link add x{n} type veth peer name y{n}", f"link set x{n} master br-one",
        *([f"link set y{n} master br-one"] if n < 511 else []))))
    lab.write("m.yaml", [{"name": "m", "interfaces": [{"network": "many", "fixed_ips": ["10.0.0.1/24"]}]}])
    lab.start(ready=False)
    assert until(lambda: lab.routers().get("m", {}).get("state") == "failed", 3.0)
    assert "br-one" in lab.routers()["m"]["error"] and "1,023" in lab.routers()["m"]["error"]


# Disks, clients, rivals


def test_full_disk(site):
    """The directory of router files has no room: refused with a sentence, file and data plane as they were."""
    lab = site.lab
    lab.stop()
    shutil.rmtree(lab.files)
    os.mkdir(lab.files)
    sandbox.mount("small", lab.files, "tmpfs")
    subprocess.run(["mount", "-o", "remount,size=64k", lab.files], check=True)
    path = site.lab.write("r.yaml", [site.router])
    lab.start()
    text = open(path).read()
    with open(os.path.join(lab.files, "ballast"), "wb", buffering=0) as file:
        with pytest.raises(OSError):
            while True:
                file.write(bytes(4096))
    status, out, err = lab.ctl("floatingip", "add", "r", FIP2, A2, form="all")
    assert status == 1 and "No space left" in out + err, out + err
    assert open(path).read() == text and set(os.listdir(lab.files)) == {"r.yaml", "ballast"}
    assert FIP2 not in site.r.addresses() and site.e.ping(FIP)
    os.unlink(os.path.join(lab.files, "ballast"))
    lab.ctl("floatingip", "add", "r", FIP2, A2)
    assert site.e.ping(FIP2)
    lab.stop()
    sandbox.unmount(lab.files)


def test_read_only_directories(site):
    lab = site.lab
    lab.stop()
    state = os.path.join(lab.dir, "state")
    os.makedirs(state, exist_ok=True)
    for path in (state, lab.files):
        sandbox.mount(path, path, flags=sandbox.MS_BIND)
        subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)
    lab.start()
    assert site.e.ping(FIP)
    status, out, err = lab.ctl("floatingip", "add", "r", FIP2, A2, form="all")
    assert status == 1 and "Read-only" in out + err, out + err
    assert FIP2 not in site.r.addresses() and lab.resync()["writes"] == 0
    lab.stop()
    for path in (state, lab.files):
        sandbox.unmount(path)


def test_client_gone_in_mid_answer(site):
    for request in (b'{"op": "show", "router": "r"}\n' * 2000, b'{"op": "wait", "timeout_ms": 5000}\n', b'{"op": "sta',
                    b'{"op": "plan", "router": "r"}\n' * 500):
        client = site.lab.connect()
        client.sendall(request)
        client.close()
    assert site.lab.status()["routers"]["in_sync"] == 1 and site.e.ping(FIP)


def test_client_that_does_not_read(site):
    """A client that asks and never reads neither blocks the others nor makes the daemon grow without end."""
    client = site.lab.connect()
    client.setblocking(False)
    try:
        for _ in range(200):
            client.sendall(b'{"op": "show", "router": "r"}\n' * 1000)
    except BlockingIOError:
        pass
    start = time.monotonic()
    assert site.lab.status() and time.monotonic() - start < patience(3.0)
    size = int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{site.lab.daemon.process.pid}/status").read()).group(1))
    assert SANITIZED or size < 64 << 10, f"{size} KiB"
    client.close()


def test_malformed_requests(site):
    for request in (b"hello\n", b"[]\n", b'{"op": 5}\n', b'{"op": "fly"}\n', b'{"op": "show"}\n', b"\xff\xfe\n",
                    b'{"op": "show", "router": "nobody"}\n', b'{"op": "apply", "name": "x", "text": "routers: ["}\n',
                    b'{"op": "apply", "name": "../../etc/x", "text": "routers: []"}\n',
                    b"[" * 100000 + b"\n", b'{"a":' * 50000 + b"\n"):
        with site.lab.connect() as client:
            client.settimeout(5)
            client.sendall(request)
            answer = client.makefile("rb").readline()
            if b'"../../etc' not in request:
                assert b'"ok": false' in answer.replace(b'":', b'": ').replace(b":  ", b": "), (request[:40], answer)
    with site.lab.connect() as client:
        client.settimeout(10)
        try:
            client.sendall(b'{"op": "' + b"x" * (17 << 20) + b'"}\n')
            assert b"false" in client.makefile("rb").readline()
        except (BrokenPipeError, ConnectionResetError):
            pass  # closed before all of it was sent
    assert site.lab.status()["routers"]["in_sync"] == 1 and not os.path.exists("/etc/x")


def test_second_daemon_is_refused(site):
    path = os.path.join(site.lab.dir, "l3agent.yaml")
    with site.lab.root:
        done = subprocess.run([os.path.join(BUILD, "l3agentd"), "-c", path], capture_output=True, text=True, timeout=10)
    assert done.returncode == 1 and done.stderr.strip(), done
    assert site.lab.status()["routers"]["in_sync"] == 1 and site.e.ping(FIP)


def test_too_few_file_descriptors_is_an_error_not_a_loss(two):
    """A process that may hardly open a file fails routers, keeps the kernel's state, and recovers."""
    resource.prlimit(two.lab.daemon.process.pid, resource.RLIMIT_NOFILE, (3, 4096))
    with pytest.raises((ControlError, OSError, AssertionError, ValueError)):
        two.lab.ask("resync", within=1.0)
        two.lab.wait(0.5)
    assert two.e.ping(FIP) and len(two.lab.namespaces()) == 2
    resource.prlimit(two.lab.daemon.process.pid, resource.RLIMIT_NOFILE, (4096, 4096))
    assert until(lambda: two.lab.resync(), 5.0)
    assert two.lab.routers()["r"]["state"] == "in_sync"
    assert two.b.ping(E) and GW in two.r.addresses()
