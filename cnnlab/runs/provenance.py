"""Where a result comes from: packages, commit, machine and the hour. Nothing names a person."""

import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]

# What can change a number or a picture; the lock file names the rest.
PACKAGES = (
    "cnnlab",
    "tensorflow",
    "keras",
    "numpy",
    "h5py",
    "pillow",
    "scikit-learn",
    "scipy",
    "pandas",
    "matplotlib",
    "imagehash",
)


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond; such texts sort by age."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def collect() -> dict[str, Any]:
    """Return versions, commit and machine as one JSON-ready dict."""
    return {"versions": versions(), "commit": commit(), "machine": machine()}


def versions() -> dict[str, str]:
    """Return the version of Python and of every package in ``PACKAGES`` that is installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit(root: Path = CHECKOUT) -> dict[str, Any] | None:
    """Return ``{"id": 40 hex digits, "dirty": bool}`` of a checkout; None without git or commits.

    ``dirty`` means that a tracked file differs from the commit or an untracked one stands beside.
    """
    if not (root / ".git").exists():  # an installed package inside somebody else's repository
        return None
    head = _output("git", "-C", str(root), "rev-parse", "HEAD")
    status = _output("git", "-C", str(root), "status", "--porcelain")
    if head is None or status is None:
        return None
    return {"id": head, "dirty": bool(status)}


def machine() -> dict[str, Any]:
    """Return the processor, cores, memory, GPUs and system of this machine.

    ``cores`` is what this process may use, which is less than the machine has inside a container.
    """
    return {
        "processor": _processor(),
        "cores": _cores(),
        "memory_gib": _memory_gib(),
        "gpus": _gpus(),
        "system": platform.platform(terse=True),
    }


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        return None


def _gpus() -> list[str]:
    names = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    return names.splitlines() if names else []


def _output(*command: str) -> str | None:
    """Return what a program prints, stripped; None where it is missing or fails."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # asking must not touch the index
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=10, env=environment, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
