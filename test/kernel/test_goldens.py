# SPDX-License-Identifier: GPL-3.0-or-later
"""Applying twice: the second pass writes nothing. For every plan golden, running and after a restart."""

import glob
import os

import pytest
import yaml

from lab import TOP
from packets import until

PLANS = os.path.join(TOP, "test", "plan")
GOLDENS = sorted(os.path.basename(path)[:-5] for path in glob.glob(os.path.join(PLANS, "*.yaml"))
                 if os.path.basename(path) != "agent.yaml")


@pytest.fixture
def node(lab):
    """A Lab with the bridges that the goldens' settings name."""
    with open(os.path.join(PLANS, "agent.yaml")) as file:
        settings = yaml.safe_load(file)
    for entry in settings["networks"].values():
        for bridge in entry["bridge"] if isinstance(entry["bridge"], list) else [entry["bridge"]]:
            lab.bridge(bridge)
    lab.networks = settings["networks"]
    lab.settings.update({key: value for key, value in settings.items() if key not in ("networks", "files", "host")})
    return lab


def test_there_are_goldens():
    assert len(GOLDENS) >= 10


@pytest.mark.parametrize("name", GOLDENS)
def test_second_pass_writes_nothing(node, name):
    with open(os.path.join(PLANS, name + ".yaml")) as file:
        node.write(name + ".yaml", file.read())
    node.start()
    for ns in node.routers().values():
        if ns["state"] != "disabled":
            node.router(ns["name"]).settled()
    monitor, before = node.monitor(), node.snapshot()
    assert node.resync()["writes"] == 0
    node.restart()
    assert node.status()["last_sync"]["writes"] == 0
    assert monitor.heard() == []
    assert node.snapshot() == before
    assert all(node.ask("show", router=name)["router"]["ops"] == [] for name in node.routers())
    monitor.close()
    # And away again: nothing is left.
    node.remove(name + ".yaml")
    assert until(lambda: node.namespaces() == [], 2.0)
    assert not [dev for dev in node.root.links() if dev.startswith("tap")]
