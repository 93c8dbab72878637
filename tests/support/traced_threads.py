"""Cuts off calls in threads under a tracer, such as that of coverage.

There, the main thread of CPython 3.11 does not go on while an exception waits for a thread that is blocked: at each call
of a function it checks for it again and again. So the exception is only set once the thread has gone on by itself.
"""

import threading
import time
from pathlib import Path

from bridge.pipeline.worker_threads import ThreadedCall

_STEP_S = 0.005


def deliver_late(set_exception) -> None:
    """Have calls cut off as soon as their threads go on; ``set_exception`` is the production code's way."""

    def cut_off(call: ThreadedCall) -> None:
        call.result.cancel()
        if call._has_begun:
            threading.Thread(target=_when_it_goes_on, args=(call, set_exception), daemon=True).start()
        else:
            set_exception(call)

    ThreadedCall.cut_off = cut_off


def _when_it_goes_on(call: ThreadedCall, set_exception) -> None:
    before = _processor_time(call)
    while before and call.is_running() and _processor_time(call) == before:
        time.sleep(_STEP_S)
    if call.is_running():
        set_exception(call)


def _processor_time(call: ThreadedCall) -> str:
    """Return how long the thread has run, in nanoseconds (proc(5), schedstat), or an empty text: it has ended."""
    try:
        return Path(f"/proc/self/task/{call._thread.native_id}/schedstat").read_text().split()[0]
    except OSError:
        return ""
