"""How much memory a benchmark's process has held."""

import resource
from pathlib import Path


def peak() -> float:
    """Return the most memory this process has held, in MB; mapped files count while mapped."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss is inherited from whoever started the process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes
