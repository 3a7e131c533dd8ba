# SPDX-License-Identifier: Apache-2.0
"""What this machine has, for tests that want each of its devices. NDBUF_CUDART may add simulated ones."""
import sys

import pytest

import ndbuf

IS_FREE_THREADED = hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled()
DEVICES = [device.name for device in ndbuf.devices()]
OUT_OF_REACH = [device.name for device in ndbuf.devices() if not device.host_accessible]

on_every_device = pytest.mark.parametrize("device", DEVICES)
# A machine with the host alone has nothing to refuse; pytest then reports the test as skipped.
on_devices_out_of_reach = pytest.mark.parametrize("device", OUT_OF_REACH)
