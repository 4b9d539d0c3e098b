import pytest
import torch
from baseline_toys import write_dataset


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """Recorded images and actions of the toy."""
    return write_dataset(tmp_path_factory.mktemp("toy") / "data")
