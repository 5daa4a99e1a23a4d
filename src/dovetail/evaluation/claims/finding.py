"""Where claims are found: each in the test file of its method, in a checkout of the repository."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from dovetail.catalogue import CatalogueError, Entry, contract_named, entries, lookup
from dovetail.data.records import DataError
from dovetail.evaluation.claims.claim import Claim, Found

NAMES = {"cpu": "CLAIM", "gpu": "CLAIM_GPU"}
"""What a claim is called in a test file, by the scale at which it is run."""


def root() -> Path:
    """The checkout that this code lies in. Raises DataError where there is none."""
    found = Path(__file__).resolve().parents[4]
    if not (found / "tests" / "methods").is_dir():
        raise DataError(
            "claims lie in the tests of a checkout, and this is an installed package; clone the repository, "
            "`make test` there, and run .venv/bin/dovetail verify"
        )
    return found


def claim_of(entry: Entry, scale: str = "cpu") -> Found | None:
    """The claim of a method at a scale, None where its tests hold none. Raises DataError for a test file that fails."""
    folder = entry.make.__module__.split(".")[-2]
    path = root() / "tests" / "methods" / folder / f"test_{entry.key}.py"
    claim = getattr(_module(path), NAMES[scale], None) if path.is_file() else None
    return Found(entry.key, entry.contract, scale, claim) if isinstance(claim, Claim) else None


def claims(
    keys: Sequence[str] = (), contract: str | None = None, everything: bool = False, scale: str = "cpu"
) -> list[Found]:
    """The claims of the methods `keys`, of a contract's, or of all.

    Raises CatalogueError for an unknown name and for a named method without a claim; DataError when nothing is asked
    for.
    """
    if not (keys or contract or everything):
        raise DataError("name the methods to verify, or give --contract CONTRACT or --all")
    wanted = list(dict.fromkeys(lookup(key).key for key in keys))
    named = [e for key in wanted for e in entries() if e.key == key]  # methods of several contracts may share a key
    more = entries(contract_named(contract)) if contract else entries() if everything else []
    held = [claim_of(entry, scale) for entry in [*named, *more]]
    found = {claim.key: claim for claim in held if claim}
    for key in [key for key in wanted if key not in found]:
        raise CatalogueError(f"{key} has no claim at the scale {scale}: its test file defines no {NAMES[scale]}")
    return list(found.values())


def _module(path: Path) -> ModuleType:
    """A test file, imported from where it lies."""
    name = f"dovetail_claims.{path.parent.name}.{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    if str(root()) not in sys.path:
        sys.path.insert(0, str(root()))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        wanted = "install the development tools: pip install -e '.[dev]'"
        raise DataError(f"{path}: the claim cannot be read, {error.name} is missing; {wanted}") from error
    sys.modules[name] = module
    return module
