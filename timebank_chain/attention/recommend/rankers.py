"""Rankers: each gives every item a score for every member, from what the members took before.

A *profile* is a sparse matrix, members by items: what a member took, the latest at full weight, one that is
``half_life`` acts back at half of it. Items that nobody took yet have no score of their own; the guard is
who brings them in. All learn from implicit feedback: that somebody took an item, not a grade.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from timebank_chain.attention.extra import need
from timebank_chain.attention.recommend.interactions import Interactions
from timebank_chain.errors import AttentionError

Scores = NDArray[np.float64]
#: Reason and the items it rests on, the strongest first.
Because = tuple[str, tuple[int, ...]]


class Ranker(Protocol):
    """What `choose` chooses among."""

    name: ClassVar[str]

    def fit(self, past: Interactions) -> None:
        """Learn from interactions."""
        ...

    def scores(self, profiles: Any, members: NDArray[np.int64]) -> Scores:
        """Return scores, one row a member, one column an item."""
        ...

    def because(self, profile: Any, item: int) -> Because:
        """Return why one item is suggested to the member of a one-row profile."""
        ...

    @property
    def parameters(self) -> dict[str, int | float | None]:
        """What it was made with."""
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what it learned, about items alone: nothing in it is a member's own."""
        ...

    def take(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take back what `arrays` gave."""
        ...

    @property
    def size(self) -> int:
        """Items it knows."""
        ...

    @property
    def half_life(self) -> int | None:
        """Acts after which a profile's weight is halved; None: all weigh the same."""
        ...


def profiles(interactions: Interactions, half_life: int | None) -> Any:
    """Return the members' profiles, CSR float32, shape (members, items); an item taken twice counts once."""
    sparse = need("scipy.sparse")
    # Latest first within each member: position k has weight 2^(-k / half_life).
    order = np.lexsort((-np.arange(len(interactions)), interactions.member))
    member, item = interactions.member[order], interactions.item[order]
    pairs = member.astype(np.int64) * len(interactions.items) + item
    _, latest = np.unique(pairs, return_index=True)
    latest.sort()
    member, item = member[latest], item[latest]
    starts = np.searchsorted(member, member, side="left")
    back = np.arange(len(member)) - starts
    weight = np.ones(len(member)) if half_life is None else np.exp2(-back / half_life)
    shape = (len(interactions.members), len(interactions.items))
    return sparse.csr_matrix((weight.astype(np.float32), (member, item)), shape=shape)


@dataclass
class Popular:
    """Most taken first: the baseline, and what a member without a past is shown.

    ``half_life_days`` None counts all times alike.
    """

    half_life_days: float | None = None
    name: ClassVar[str] = "popularity"
    half_life: ClassVar[None] = None
    _taken: Scores = field(default_factory=lambda: np.zeros(0))

    def fit(self, past: Interactions) -> None:
        """Count who took each item, each member once."""
        pairs = past.member.astype(np.int64) * len(past.items) + past.item
        # The latest time a member took it: rows are in order of time, so look from the end.
        _, first = np.unique(pairs[::-1], return_index=True)
        rows = len(pairs) - 1 - first
        if self.half_life_days is None or not len(past):
            weight: NDArray[np.float64] = np.ones(len(rows))
        else:
            age_days = (past.at_ms[-1] - past.at_ms[rows]) / 86_400_000
            weight = np.exp2(-age_days / self.half_life_days)
        self._taken = np.bincount(past.item[rows], weights=weight, minlength=len(past.items)).astype(
            np.float64
        )

    def scores(self, profiles: Any, members: NDArray[np.int64]) -> Scores:
        """Return the same row for everybody."""
        return np.tile(self._taken, (len(members), 1))

    def because(self, profile: Any, item: int) -> Because:
        """Say how many took it."""
        if self.half_life_days is None:
            return f"{round(self._taken[item])} members took it", ()
        return f"much taken in the last {2 * self.half_life_days:g} days", ()

    @property
    def parameters(self) -> dict[str, int | float | None]:
        """Half-life of an interaction."""
        return {"half_life_days": self.half_life_days}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the counts."""
        return {"taken": self._taken}

    @property
    def size(self) -> int:
        """Items it counted."""
        return len(self._taken)

    def take(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the counts back."""
        self._taken = np.asarray(arrays["taken"], dtype=np.float64)


@dataclass
class Neighbours:
    """Item-kNN: items taken by the same members as those in the profile, TF-IDF cosine, the nearest K."""

    nearest: int = 20
    half_life: int | None = 10
    name: ClassVar[str] = "item-kNN"
    _similarity: Any = None

    def fit(self, past: Interactions) -> None:
        """Compute every item's nearest."""
        from implicit.nearest_neighbours import TFIDFRecommender

        model = TFIDFRecommender(K=self.nearest, num_threads=1)
        with warnings.catch_warnings():
            # It converts its own transposed copy and warns its caller of that.
            warnings.filterwarnings("ignore", "Method expects CSR input")
            model.fit(profiles(past, None), show_progress=False)
        self._similarity = model.similarity.tocsr()

    def scores(self, profiles: Any, members: NDArray[np.int64]) -> Scores:
        """Return sums of similarities to the profile."""
        return np.asarray((profiles[members] @ self._similarity).toarray(), dtype=np.float64)

    def because(self, profile: Any, item: int) -> Because:
        """Name the taken items nearest to it."""
        column = self._similarity[:, [item]].toarray().ravel()
        strength = profile.toarray().ravel() * column
        strength[item] = 0
        order = np.argsort(-strength, kind="stable")[:3]
        items = tuple(int(one) for one in order if strength[one] > 0)
        return "members who took these took it too", items

    @property
    def parameters(self) -> dict[str, int | float | None]:
        """Neighbours an item, half-life of a profile."""
        return {"nearest": self.nearest, "half_life": self.half_life}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the similarity matrix in CSR form."""
        one = self._similarity
        return {"data": one.data, "indices": one.indices, "indptr": one.indptr}

    @property
    def size(self) -> int:
        """Items it compared."""
        return int(self._similarity.shape[0])

    def take(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the matrix back."""
        size = len(arrays["indptr"]) - 1
        self._similarity = need("scipy.sparse").csr_matrix(
            (arrays["data"], arrays["indices"], arrays["indptr"]), shape=(size, size)
        )
        self._similarity.check_format(full_check=True)


@dataclass
class Factors:
    """Matrix factorisation for implicit feedback (Hu, Koren and Volinsky 2008), by alternating least squares.

    A member's factors are solved from their profile when scores are asked for: the file needs no member.
    """

    factors: int = 64
    regularisation: float = 10.0
    half_life: int | None = 10
    seed: int = 0
    name: ClassVar[str] = "factorisation"
    _model: Any = None

    def _new(self) -> Any:
        from implicit.cpu.als import AlternatingLeastSquares

        return AlternatingLeastSquares(
            factors=self.factors,
            regularization=self.regularisation,
            alpha=1.0,
            iterations=15,
            random_state=self.seed,
            num_threads=1,  # more threads sum in another order: other last digits
        )

    def fit(self, past: Interactions) -> None:
        """Alternate fifteen times."""
        with one_thread():
            self._model = self._new()
            self._model.fit(profiles(past, None), show_progress=False)

    def scores(self, profiles: Any, members: NDArray[np.int64]) -> Scores:
        """Solve the members' factors and multiply."""
        rows = profiles[members].astype(np.float32)
        with one_thread():
            mine = self._model.recalculate_user(np.arange(len(members)), rows)
        return np.asarray(np.atleast_2d(mine) @ self._model.item_factors.T, dtype=np.float64)

    def because(self, profile: Any, item: int) -> Because:
        """Name the taken items that add most to the score."""
        with one_thread():
            _, contributions, _ = self._model.explain(0, profile.astype(np.float32), item, N=3)
        items = tuple(int(one) for one, strength in contributions if strength > 0 and one != item)
        return "close to what you took", items

    @property
    def parameters(self) -> dict[str, int | float | None]:
        """Size, regularisation, half-life of a profile, seed."""
        return {
            "factors": self.factors,
            "regularisation": self.regularisation,
            "half_life": self.half_life,
            "seed": self.seed,
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the items' factors."""
        return {"item_factors": self._model.item_factors}

    @property
    def size(self) -> int:
        """Items it has factors of."""
        return len(self._model.item_factors)

    def take(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the factors back."""
        with one_thread():
            self._model = self._new()
        self._model.item_factors = np.ascontiguousarray(arrays["item_factors"], dtype=np.float32)


RANKERS: dict[str, Callable[..., Ranker]] = {
    Popular.name: Popular,
    Neighbours.name: Neighbours,
    Factors.name: Factors,
}


def make_ranker(name: str, parameters: Mapping[str, int | float | None]) -> Ranker:
    """Return a ranker that has learned nothing yet.

    Raises
    ------
    AttentionError
        If there is none of this name, or it takes other parameters.
    """
    made = RANKERS.get(name)
    if made is None or set(parameters) != set(made().parameters):
        raise AttentionError(
            f"no ranker {name!r} with the parameters {', '.join(parameters) or 'none'}",
            hint=f"rankers: {', '.join(RANKERS)}",
        )
    return made(**parameters)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep BLAS to one thread: more sum in another order, and get in each other's way."""
    with need("threadpoolctl").threadpool_limits(limits=1, user_api="blas"):
        yield


def candidates(seed: int = 0) -> Sequence[Ranker]:
    """Return the rankers to choose among, the plainest first: it wins a tie."""
    return (
        Popular(),
        Popular(half_life_days=30),
        *(Neighbours(nearest, half_life) for nearest in (20, 50) for half_life in (None, 10)),
        *(Factors(factors, 10.0, half_life, seed) for factors in (32, 64) for half_life in (None, 10)),
    )
