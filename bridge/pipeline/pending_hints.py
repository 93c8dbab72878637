"""Hints that wait for the next read, merged by model and bounded: one that is lost costs time, and nothing else."""

from collections.abc import Iterable

from bridge.events.change_hints import Hint

MOST_MODELS = 1_000
"""How many models are remembered; the polls find the changes of more."""

MOST_AT_ONCE = 50
"""How many models a read takes: each costs requests of its own."""

_MOST_PER_MODEL = 100
"""How many hints of a model are remembered, the latest ones: they attribute its events to users."""


class PendingHints:
    """The hints that no read has taken yet."""

    def __init__(self) -> None:
        """Begin with none."""
        self._by_model: dict[str, list[Hint]] = {}
        self.have_come = False
        """Whether there ever were any: then more are to be expected."""

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._by_model)

    def add(self, hints: Iterable[Hint]) -> int:
        """Add hints, in the order of the changes; return how many there was no room for."""
        left_out = 0
        for hint in hints:
            self.have_come = True
            of_model = self._by_model.get(hint.model)
            if of_model is None and len(self._by_model) >= MOST_MODELS:
                left_out += 1
                continue
            if of_model is None:
                of_model = self._by_model[hint.model] = []
            of_model.append(hint)
            del of_model[:-_MOST_PER_MODEL]
        return left_out

    def take(self) -> tuple[Hint, ...]:
        """Remove and return the hints of the models that have waited longest."""
        names = list(self._by_model)[:MOST_AT_ONCE]
        return tuple(hint for name in names for hint in self._by_model.pop(name))

    def waiting(self) -> tuple[Hint, ...]:
        """Return those that wait, and keep them; another thread may call it."""
        return tuple(hint for hints in list(self._by_model.values()) for hint in list(hints))

    def put_back(self, hints: Iterable[Hint]) -> None:
        """Add hints whose read failed, before those that came since."""
        since, self._by_model = self._by_model, {}
        self.add(hints)
        self.add(hint for later in since.values() for hint in later)
