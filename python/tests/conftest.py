# SPDX-License-Identifier: Apache-2.0
import gc


def pytest_collection_finish():
    """What PyTorch and JAX have made by now stays: no collection of garbage has to go through it again."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure():
    gc.unfreeze()
