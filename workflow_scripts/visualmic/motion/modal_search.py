"""The search for the modes that are likeliest, from many starting points."""

from collections.abc import Sequence

import numpy as np

from visualmic.motion.modal_kernels import TYPICAL_DAMPING
from visualmic.motion.modal_likelihood import (
    BINS_A_LOOK,
    FLAT,
    Candidate,
    Likelihood,
    trust_in,
)
from visualmic.motion.modal_model import Expected, Seen, resonators
from visualmic.motion.reference import Floats
from visualmic.threads import in_threads

_FIRST_STEPS = 14


class ModalSearch:
    """The penalised likelihood of modes, and the search for its maximum.

    The search takes every few of the frequencies, which the window makes alike anyway, and only the
    last climb all of them.
    """

    def __init__(self, seen: Seen, expected: Expected | None) -> None:
        trust = None if expected is None else trust_in(seen)
        self.whole = Likelihood(seen, expected, trust)
        frequency, covariance = seen.frequency_hz, seen.covariance
        step = max(1, len(frequency) // 80)
        some = slice(None, None, step)
        if expected is not None:
            expected = Expected(expected.log_power[some], step * expected.weight[some])
        self._coarse = Likelihood(
            Seen(frequency[some], covariance[some], step * seen.looks[some]),
            expected,
            None if trust is None else trust[some],
        )
        values, vectors = np.linalg.eigh(covariance)
        self._channels = covariance.shape[1]
        self._covariance = covariance
        loudest = vectors[some, :, -1]
        self._along = (loudest[:, :, None] * loudest[:, None, :].conj()).reshape(len(loudest), -1)
        loud = np.maximum(values[:, -1] - 1, 0)
        self.heard = loud / (1 + loud)
        self._trust = self._coarse.weight * self.heard[some]
        self._candidates = np.linspace(np.log(60.0), np.log(frequency[-1]), 8)
        # What noise takes from the likelihood at each frequency: half for each real dimension.
        self.noise = len(frequency) * (self._channels - 1) / BINS_A_LOOK

    @property
    def most(self) -> float:
        """The likelihood of a model whose direction is the loudest at each frequency."""
        return self.whole.most

    def likelihood(self, modes: Candidate) -> float:
        """Logarithm of the likelihood on all frequencies, less the penalties."""
        return self.whole.likelihood(modes)

    def explained(self, modes: Candidate) -> float:
        """Logarithm of the likelihood; without what is expected, where something is."""
        return self.whole.explained(modes)

    def rigid(self) -> Candidate:
        """Give the best model whose direction is the same at every frequency."""
        weighed = (self.whole.weight[:, None, None] * self._covariance).real.sum(axis=0)
        shape = np.linalg.eigh(weighed)[1][:, -1:]
        return Candidate(np.array([FLAT]), np.array([np.log(TYPICAL_DAMPING)]), shape)

    def with_modes(self, modes: int, pool: Sequence[Candidate]) -> list[Candidate]:
        """Find good models with a number of modes, the best first, from those with one fewer."""
        places = self._candidates
        starts: list[tuple[Floats, Floats]] = []
        usual = np.log(TYPICAL_DAMPING)
        if modes == 1:
            return self._climb([(np.array([place]), np.array([usual])) for place in places])
        if modes == 2:
            pairs = [(a, b) for i, a in enumerate(places) for b in places[i + 1 :: 2]]
            starts = [(np.array(pair), np.full(2, usual)) for pair in pairs]
        else:
            for one in pool:
                starts += [
                    (np.append(one.log_frequency, place), np.append(one.log_damping, usual))
                    for place in places
                ]
            even = np.linspace(np.log(80.0), places[-1], modes + 2)[1:-1]
            starts.append((even, np.full(modes, usual)))
        found = self._climb(starts)
        for some in (places[::2], places[1::2]):
            # A mode that holds a poor place is lifted out and put elsewhere.
            starts = []
            for moved in range(modes):
                for place in some:
                    frequency = found[0].log_frequency.copy()
                    damping = found[0].log_damping.copy()
                    frequency[moved], damping[moved] = place, usual
                    starts.append((frequency, damping))
            found = self._climb(starts, found)
        last = max(
            (self.whole.climbed(found[0], 100), self.whole.polished(found[0])),
            key=self.likelihood,
        )
        return [last, *found[1:]]

    def _climb(
        self, starts: Sequence[tuple[Floats, Floats]], known: Sequence[Candidate] = ()
    ) -> list[Candidate]:
        """Climb a little from all starts, then further from ever fewer; those known compete."""
        tried = in_threads(lambda one: Candidate(*one, self._shapes(*one)), starts)
        rough = self.climbed(tried, _FIRST_STEPS)
        rough = [*self.climbed(rough[: max(6, len(rough) // 3)], 40), *known]
        rough.sort(key=self._coarse.likelihood, reverse=True)
        return self.climbed(rough[:2], 200)

    def climbed(self, starts: Sequence[Candidate], steps: int) -> list[Candidate]:
        """Climb so many steps from all starts: the best first."""
        reached = in_threads(lambda one: self._coarse.climbed(one, steps), starts)
        return sorted(reached, key=self._coarse.likelihood, reverse=True)

    def _shapes(self, log_frequency: Floats, log_damping: Floats) -> Floats:
        """Shapes (K, M) whose motion lies nearest to the loudest directions: an eigenproblem."""
        transfer = resonators(self._coarse.frequency, log_frequency, log_damping)[0]
        transfer /= np.linalg.norm(transfer, axis=1, keepdims=True)
        pairs = transfer[:, :, None].conj() * transfer[:, None, :]
        channels, modes = self._channels, len(log_frequency)
        weighed = self._trust[:, None, None] * pairs
        total = weighed.sum(axis=0).real
        total += 1e-6 * np.trace(total) / modes * np.eye(modes)
        inside = (self._along.T @ weighed.reshape(-1, modes**2)).real
        # In units in which all motion of the modes is one: what is left of it along the loudest.
        unit = np.linalg.inv(np.linalg.cholesky(total))
        inside = unit @ inside.reshape(channels, channels, modes, modes) @ unit.T
        size = channels * modes
        nearest = np.linalg.eigh(inside.transpose(0, 2, 1, 3).reshape(size, size))[1][:, -1]
        return np.asarray(nearest.reshape(channels, modes) @ unit)
