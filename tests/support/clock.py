"""A clock that tests turn by hand."""

from dataclasses import dataclass


@dataclass
class HandClock:
    """Wall clock and monotonic clock; `sleep` moves both, `jump` the wall clock alone."""

    wall_ms: int = 1_800_000_000_000
    mono: float = 1_000.0
    boot: str = "boot-1"

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic(self) -> float:
        return self.mono

    def boot_id(self) -> str:
        return self.boot

    def sleep(self, seconds: float) -> None:
        self.wall_ms += round(seconds * 1000)
        self.mono += seconds

    def jump(self, seconds: float) -> None:
        self.wall_ms += round(seconds * 1000)
