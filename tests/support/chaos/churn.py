"""What changes the registry during a storm: mostly transitions, some of everything else, at a steady pace."""

import time
from collections.abc import Sequence
from threading import Event, Thread

from support.mutations import Belief, Effect, Hand

_KEYS = tuple(f"key-{number}" for number in range(20))


class _Mover(Hand):
    """Mostly transitions; new versions come with many tags, which are as many events."""

    def __init__(self, url: str, names: Sequence[str], belief: Belief, seed: int) -> None:
        super().__init__(url, names, belief, seed)
        self._weighted = {
            self.transition: 66,
            self.create_version: 10,
            self.delete_version: 8,
            self.tag_version: 4,
            self.set_alias: 4,
            self.describe_model: 2,
            self.rename_model: 3,
            self.delete_model: 1,
            self.create_model: 2,
        }

    def _tags(self, what: str) -> dict[str, str]:
        if what == "tag":  # a model's
            return super()._tags(what)
        return {key: self._value(what) for key in self._chance.sample(_KEYS, self._chance.randint(5, 20))}


class Churn:
    """Changes ``models`` models about ``rate`` times a second, until it is stopped."""

    def __init__(self, url: str, seed: int, models: int, rate: float, prefix: str = "storm") -> None:
        # One name in ten is free, for models to be renamed to.
        names = [f"{prefix} {number}" for number in range(models + models // 10 + 1)]
        belief = Belief()
        self._first = Hand(url, names, belief, seed * 1_000)
        self._hands = [_Mover(url, names, belief, seed * 1_000 + number) for number in (1, 2)]
        self._models = names[:models]
        self._pause = len(self._hands) / rate
        self._stop = Event()
        self._threads: list[Thread] = []

    def prepare(self) -> None:
        """Make the models, with a few versions each, before anyone looks."""
        for name in self._models:
            self._first.attempt(self._first.create_model, name)
            for _ in range(3):
                self._first.attempt(self._first.create_version, name)

    def start(self) -> None:
        self._threads = [Thread(target=self._work, args=(hand,), daemon=True) for hand in self._hands]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Make no more mutations; return once the last was answered."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, hand: Hand) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            hand.mutate()
            due = max(
                due + self._pause, time.monotonic() - 1
            )  # what was missed in an outage is not made up for
            self._stop.wait(max(0.0, due - time.monotonic()))

    @property
    def effects(self) -> list[Effect]:
        """What was done to the registry, or may have been."""
        return [effect for hand in (self._first, *self._hands) for effect in hand.done]

    @property
    def mutations(self) -> int:
        """How many mutations took effect."""
        done = [hand.outcomes for hand in self._hands]
        return sum(made.total() - made["refused"] - made["unsure"] for made in done)
