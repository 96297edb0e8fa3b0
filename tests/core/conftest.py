"""What several tests of the core ask for."""

import pytest
import torch


@pytest.fixture(scope="module")
def one_thread():
    """Small matrices are quicker in one, and sums of several threads are rounded otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
