"""File systems that refuse calls, by a library that is loaded before all others (ld.so(8), LD_PRELOAD)."""

import shutil
import subprocess
from pathlib import Path

import pytest

_SOURCE = Path(__file__).with_name("filesystem_shim.c")
_COMPILER = shutil.which("gcc") or shutil.which("cc")

needs_compiler = pytest.mark.skipif(_COMPILER is None, reason="needs a C compiler: gcc or cc")


def refusing(folder: Path, **faults: int) -> dict[str, str]:
    """Return the environment of a process whose file systems answer these calls with these error numbers."""
    library = folder / "shim.so"
    if not library.exists():
        subprocess.run([_COMPILER, "-shared", "-fPIC", "-o", library, _SOURCE, "-ldl"], check=True)
    told = " ".join(f"{call}={number}" for call, number in faults.items())
    return {"LD_PRELOAD": str(library), "FAULTS": told}
