"""What every test stands on: shapes are checked, seeds fixed, no network is used, threads do not pile up."""

import importlib
import os
import random
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "Agg")
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):  # torch reads it once, when imported
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // workers))

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

import tests.shapes  # noqa: E402, F401  (the hook finds it by its name)

# While it imports a module the hook looks for bytecode of its own, of libraries too, and would compile them all again.
for library in ("accelerate", "open_clip", "peft", "timm", "torchvision", "transformers"):
    importlib.import_module(library)
install_import_hook("dovetail", "tests.shapes.check")


@pytest.fixture(autouse=True)
def _seeds() -> None:
    """The same random numbers for a test whichever tests ran before it."""
    random.seed(0)
    np.random.seed(0)
    if torch := sys.modules.get("torch"):  # tests that read only source text need not import it
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data for tests (flickr8k, flowers, text, ...); the test is skipped where there is none."""
    folder = Path(os.environ.get("DOVETAIL_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set DOVETAIL_TEST_DATA to the folder that holds flickr8k, flowers, ...")
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small finished run (`run`) and of the data that it was trained on; not to be changed."""
    from tests import runs

    return runs.finished(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium or Chrome on this machine; the test is skipped where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
