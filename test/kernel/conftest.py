# SPDX-License-Identifier: GPL-3.0-or-later
"""pytest's side of the laboratory: the sandbox around the whole run, a fresh Lab for each test."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import sandbox  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "crash: needs the build that dies after the n-th write")
    if not sandbox.inside():
        # pytest has put its own files in the place of our output by now.
        config.pluginmanager.getplugin("capturemanager").stop_global_capturing()
        sandbox.enter([sys.executable, "-m", "pytest", *config.invocation_params.args])


@pytest.fixture
def lab(request):
    from lab import Lab

    lab = Lab()
    request.node.lab = lab
    yield lab
    lab.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    lab = getattr(item, "lab", None)
    if report.failed and lab and os.path.isdir(lab.dir):
        report.sections.append(("l3agentd", lab.log()[-8000:]))


@pytest.fixture
def site(lab):
    """The topology of topology.py with the daemon running."""
    from topology import Site

    return Site(lab)
