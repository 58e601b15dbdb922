# SPDX-License-Identifier: GPL-3.0-or-later
"""l3ctl as an operator uses it: plan, apply, delete, floatingip, wait, show; what a person wrote survives."""

import os
import re

from packets import until
from topology import A, A2, B, FIP, FIP2, Site

WEB = """\
# Routers of the web shop. Ask Ada before you touch them.
routers:

- name: web            # the front
  interfaces:
  - {network: a, fixed_ips: [10.0.0.1/24]}      # guests
  external_gateway_info:
    network: public
    external_fixed_ips: [203.0.113.10/24]
    gateway_ips: [203.0.113.1]
  floatingips:
  # the shop itself
  - {floating_ip_address: 203.0.113.20, fixed_ip_address: 10.0.0.5}   # order matters to nobody
  # end of the list

# and the back office
- name: office
  interfaces:
  - network: b
    fixed_ips: [10.1.0.1/24]
"""


def web(lab):
    site = Site(lab, start=False)
    lab.remove("r.yaml")
    site.path = lab.write("web.yaml", WEB)
    lab.start()
    return site


def lines_changed(before, after):
    old, new = before.splitlines(), after.splitlines()
    return [line for line in old if line not in new], [line for line in new if line not in old]


def test_floatingip_add_and_del_change_their_line_only(lab):
    site = web(lab)
    out = lab.ctl("floatingip", "add", "web", FIP2, A2)
    assert re.search(rf"\+ addr {FIP2}/32 dev qg-", out), out
    assert site.e.ping(FIP2).source == FIP2
    gone, new = lines_changed(WEB, open(site.path).read())
    assert gone == [] and len(new) == 1 and FIP2 in new[0] and A2 in new[0]
    out = lab.ctl("floatingip", "del", "web", FIP2)
    assert re.search(rf"- addr {FIP2}/32 dev qg-", out), out
    assert open(site.path).read() == WEB
    assert site.e.ping(FIP2, within=0.3) is None


def test_floatingip_add_is_in_force_when_it_returns(lab):
    web(lab)
    lab.ctl("floatingip", "add", "web", FIP2, A2)
    r = lab.router("web")
    assert FIP2 in r.addresses() and FIP2 in r.table()
    lab.restart()
    assert FIP2 in r.addresses() and lab.status()["last_sync"]["writes"] == 0


def test_floatingip_refusals(lab):
    site = web(lab)
    for argv in (("add", "web", "10.0.0.300", A2), ("add", "web", FIP2, "fe80::1"), ("add", "nobody", FIP2, A2),
                 ("add", "office", FIP2, B), ("del", "web", FIP2)):
        status, out, err = lab.ctl("floatingip", *argv, form="all")
        assert status == 1 and err.strip(), (argv, out, err)
    assert open(site.path).read() == WEB and lab.resync()["writes"] == 0
    assert lab.ctl("floatingip", "add", "web", FIP2, form="all")[0] == 2
    assert lab.ctl("frobnicate", form="all")[0] == 2


def test_plan_shows_and_changes_nothing(lab):
    site = web(lab)
    before, monitor = lab.router("web").handles(), lab.monitor()
    changed = WEB.replace(FIP, FIP2)
    path = os.path.join(lab.dir, "changed.yaml")
    with open(path, "w") as file:
        file.write(changed)
    out = lab.ctl("plan", "-f", path)
    assert re.search(rf"\+ addr {FIP2}/32 dev qg-", out) and re.search(rf"- addr {FIP}/32 dev qg-", out), out
    assert f"{FIP2} → {A}" in out
    assert lab.ctl("plan", "web")
    assert monitor.heard() == [] and lab.router("web").handles() == before and open(site.path).read() == WEB
    monitor.close()


def test_apply_replaces_where_the_router_stands(lab):
    site = web(lab)
    path = os.path.join(lab.dir, "new.yaml")
    with open(path, "w") as file:
        file.write("routers:\n- name: office\n  interfaces:\n  - {network: b, fixed_ips: [10.1.0.9/24]}\n"
                   "- name: fresh\n  interfaces:\n  - {network: b, fixed_ips: [10.1.0.7/24]}\n")
    out = lab.ctl("apply", "-f", path)
    assert "+ addr 10.1.0.9/24 dev qr-" in out and "- addr 10.1.0.1/24 dev qr-" in out, out
    text = open(site.path).read()
    assert "Ask Ada" in text and "the shop itself" in text and "10.1.0.9/24" in text and "10.1.0.1/24" not in text
    assert text.split("# and the back office")[0] == WEB.split("# and the back office")[0]
    assert lab.routers()["fresh"]["file"] != site.path and "10.1.0.7" in lab.router("fresh").addresses()
    lab.restart()
    assert set(lab.routers()) == {"web", "office", "fresh"} and lab.status()["last_sync"]["writes"] == 0


def test_apply_with_a_fault_changes_nothing(lab):
    site = web(lab)
    path = os.path.join(lab.dir, "bad.yaml")
    with open(path, "w") as file:
        file.write("routers:\n- name: web\n  interfaces: 5\n")
    before = lab.router("web").handles()
    status, out, err = lab.ctl("apply", "-f", path, form="all")
    assert status == 1 and re.search(r"bad\.yaml:3:\d+: ", out + err), out + err
    assert open(site.path).read() == WEB and lab.router("web").handles() == before
    assert lab.ctl("plan", "-f", path, form="all")[0] == 1


def test_apply_same_again(lab):
    site = web(lab)
    before = lab.router("web").handles()
    lab.ctl("apply", "-f", site.path)
    assert open(site.path).read() == WEB and lab.router("web").handles() == before


def test_delete(lab):
    site = web(lab)
    lab.ctl("delete", "office")
    assert until(lambda: set(lab.routers()) == {"web"}, 1.0) and len(lab.namespaces()) == 1
    text = open(site.path).read()
    assert "office" not in text.replace("back office", "") and "Ask Ada" in text and "the shop itself" in text
    lab.ctl("delete", "web")
    assert until(lambda: lab.namespaces() == [], 1.0)
    assert lab.ctl("delete", "web", form="all")[0] == 1
    lab.restart()
    assert lab.routers() == {}


def test_status_and_show(lab):
    web(lab)
    status = lab.status()
    assert status["host"] == "lab" and status["source"]["kind"] == "files" and status["source"]["synced"] is True
    assert status["routers"] == {"total": 2, "in_sync": 2, "pending": 0, "failed": 0}
    assert status["errors"] == [] and status["orphans"] == 0 and status["last_sync"]["writes"] > 0
    parsed = lab.ctl("status", form="json")
    assert parsed.get("status", parsed)["routers"] == status["routers"]
    shown = lab.ask("show", router="web")["router"]
    assert FIP in shown["plan"] and shown["ops"] == [] and shown["last"]["milliseconds"] >= 0
    assert "web" in lab.ctl("routers") and "office" in lab.ctl("routers")
    assert FIP in lab.ctl("show", "web")
    assert lab.ctl("show", "nobody", form="all")[0] == 1
    entry = lab.routers()["web"]
    assert (entry["gateway"], entry["interfaces"], entry["floatingips"]) == ("203.0.113.10", 1, 1)
    assert entry["file"].endswith("web.yaml") and entry["line"] == 4


def test_wait(lab):
    web(lab)
    assert lab.ctl("wait", "--timeout", "5", form="all")[0] == 0
    lab.networks["later"] = {"bridge": "br-later"}
    lab.reload()
    lab.write("late.yaml", [{"name": "late", "interfaces": [{"network": "later", "fixed_ips": ["10.5.0.1/24"]}]}])
    assert until(lambda: lab.routers().get("late", {}).get("state") == "failed", 2.0)
    status, out, err = lab.ctl("wait", "--timeout", "1", form="all")
    assert status == 1 and "late" in out + err


def test_without_a_daemon(lab):
    site = web(lab)
    lab.stop()
    status, out, err = lab.ctl("status", form="all")
    assert status == 1 and err.strip() and site.e.ping(FIP)
