"""A seeded random workload: every kind of mutation, by several threads.

Threads share a belief of what there is and race for it: some mutations fail because another
thread was faster. The seed fixes what each thread wishes to do; how they meet is the machine's.
"""

from collections import Counter
from threading import Lock, Thread

from support.mutations import Belief, Effect, Hand

NAMES = ("plain", "o'brien", 'say "hi"', "both ' and \"", "per%cent_", "back\\slash", "モデル ünï", "fox 🦊")


class Workload:
    """So many ``mutations`` in all, of models whose names begin with ``prefix``."""

    def __init__(
        self, url: str, seed: int, mutations: int, threads: int = 3, prefix: str = "fidelity"
    ) -> None:
        names, belief = [f"{prefix} {name}" for name in NAMES], Belief()
        self.seed = seed
        self._names = names
        self._turns = iter(range(mutations))
        self._lock = Lock()
        self._first = Hand(url, names, belief, seed * 1_000)
        self._hands = [Hand(url, names, belief, seed * 1_000 + number + 1) for number in range(threads)]

    def prepare(self, models: int = 4) -> None:
        """Make a few models, before anyone looks."""
        for name in self._names[:models]:
            self._first.attempt(self._first.create_model, name)
            for _ in range(2):
                self._first.attempt(self._first.create_version, name)

    def run(self) -> None:
        """Do all of it."""
        threads = [Thread(target=self._work, args=(hand,), daemon=True) for hand in self._hands]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, hand: Hand) -> None:
        while self._is_left():
            hand.mutate()

    def _is_left(self) -> bool:
        with self._lock:
            return next(self._turns, None) is not None

    @property
    def effects(self) -> list[Effect]:
        """What was done to the registry, or may have been."""
        return [effect for hand in (self._first, *self._hands) for effect in hand.done]

    @property
    def outcomes(self) -> Counter[str]:
        """How often each kind of mutation was made, and how many were refused, or failed otherwise."""
        return sum((hand.outcomes for hand in self._hands), Counter())

    @property
    def unsure(self) -> list[str]:
        """Failures of which nobody knows what they did."""
        return [failure for hand in self._hands for failure in hand.unsure]
