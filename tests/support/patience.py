"""How long tests wait for what has to happen, before they give up: longer where the machine is busy."""

import os

_USUAL_S = 120.0
"""Far more than anything takes on an idle machine: who waits in vain fails late, and nobody else notices."""

_MOST_TIMES = 5.0


def patience() -> float:
    """Return how long to wait, in seconds."""
    return _USUAL_S * slowness()


def slowness() -> float:
    """Return how much longer everything takes than on an idle machine: as many times as there are programs for a processor."""
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    return min(max(1.0, busy), _MOST_TIMES)
