"""Figures in which nobody is to be found.

groups ............ none under k, none that is mostly one member's; small ones merged, never alone
differencing ...... total minus what is shown is a group like any other (property)
nothing ........... where even all are too few, or one is most of it, nothing is shown
noise ............. of the size it says, unbiased; one member moves the sum by at most the cap
                    epsilon proved by the library is never above what was asked
budget ............ paid before it is computed, refused when spent, exact in decimals; nothing for nothing
bad input ......... k of 1, shares and keys that are none, caps, domains twice, epsilons that are none
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.attention.privacy.conftest import Keeper
from timebank_chain.activity import PUBLIC_SALT_KEY, ActivityTable, RawRecord, clean
from timebank_chain.attention.privacy import noisy
from timebank_chain.attention.privacy.grouped import FIGURES, OTHERS, grouped_report
from timebank_chain.attention.privacy.noisy import Query, account, read_epsilon, release, spend
from timebank_chain.attention.privacy.roles import Level
from timebank_chain.errors import AttentionError, CheckFailed


def table(rows: list[tuple[str, str, int]]) -> ActivityTable:
    """Acts of (member, domain, engagement in whole units)."""
    records = [
        RawRecord(
            "t", n, id=f"a{n}", member=member, domain=domain, occurred=n, interaction=1, originality=1,
            engagement=value,
        )
        for n, (member, domain, value) in enumerate(rows)
    ]  # fmt: skip
    result = clean(records, now_ms=len(rows), salt_key=PUBLIC_SALT_KEY)
    assert not result.rejects
    return result.table


def group(domain: str, members: int, *, value: int = 1, first: int = 0) -> list[tuple[str, str, int]]:
    return [(f"m{first + n}", domain, value) for n in range(members)]


def test_small_groups_stand_together() -> None:
    acts = (
        group("art", 9) + group("code", 6, first=10) + group("rare", 3, first=20) + group("odd", 2, first=30)
    )
    report = grouped_report(table(acts), ("domain",), 5)
    assert [(one.name, one.members) for one in report.groups] == [("art", 9), ("code", 6), (OTHERS, 5)]
    assert (report.merged, report.members) == (2, 20)
    assert report.total is not None
    assert report.total["acts"] == 20


def test_one_small_group_takes_the_next_smallest_with_it() -> None:
    acts = group("art", 9) + group("code", 6, first=10) + group("rare", 1, first=20)
    report = grouped_report(table(acts), ("domain",), 5)
    assert [(one.name, one.members) for one in report.groups] == [("art", 9), (OTHERS, 7)]


def test_a_group_that_is_mostly_one_member_is_not_shown() -> None:
    acts = group("art", 9) + group("code", 6, first=10) + [("m10", "code", 100)]
    report = grouped_report(table(acts), ("domain",), 5)
    assert not report.groups, "one member is most of everything: merging does not hide it"
    acts = group("art", 9, value=40) + group("code", 6, first=10) + [("m10", "code", 100)]
    report = grouped_report(table(acts), ("domain",), 5)
    assert [one.name for one in report.groups] == [OTHERS]
    assert grouped_report(table(acts), ("domain",), 5, most_share=Fraction(1)).merged == 0


def test_the_number_of_members_is_kept_back_where_it_tells_of_an_overlap() -> None:
    acts = group("art", 6) + group("code", 6, first=5)
    report = grouped_report(table(acts), ("domain",), 5)
    assert len(report.groups) == 2
    assert report.members is None


def test_too_few_show_nothing() -> None:
    report = grouped_report(table(group("art", 4)), ("domain",), 5)
    assert (report.groups, report.total, report.members) == ((), None, None)
    by_month = grouped_report(table(group("art", 5)), ("domain", "month"), 5)
    assert [one.name for one in by_month.groups] == ["art 1970-01"]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 14), st.integers(0, 5), st.integers(0, 30)), min_size=1, max_size=80),
    st.integers(2, 6),
)
def test_what_is_shown_and_what_follows_from_it_is_never_small(
    acts: list[tuple[int, int, int]], k: int
) -> None:
    acts_of = table([(f"m{member}", f"d{domain}", value) for member, domain, value in acts])
    report = grouped_report(acts_of, ("domain",), k)
    everything = dict.fromkeys(FIGURES, 0)
    for one in report.groups:
        assert one.members >= k
        assert one.safe(k, report.most_share)
        for name in FIGURES:
            everything[name] += one.figure(name)
    if report.groups:
        assert report.total == everything
        assert everything["acts"] == len(acts), "the total is the true one"
        assert sum(one.name == OTHERS for one in report.groups) == (report.merged > 0)
    else:
        assert report.total is None


@pytest.mark.parametrize(
    ("by", "k", "share", "said"),
    [
        (("domain",), 1, Fraction(1), "at least 2"),
        (("domain",), 5, Fraction(0), "a share of 0"),
        (("domain",), 5, Fraction(2), "a share of 2"),
        ((), 5, Fraction(1), "group by nothing"),
        (("member",), 5, Fraction(1), "group by member"),
    ],
)
def test_a_report_of_nothing_sensible_is_refused(
    by: tuple[str, ...], k: int, share: Fraction, said: str
) -> None:
    with pytest.raises(AttentionError, match=said):
        grouped_report(table(group("art", 9)), by, k, most_share=share)


# --- noise ---------------------------------------------------------------------------------------------


def test_noise_is_unbiased_and_of_the_size_it_says() -> None:
    pytest.importorskip("opendp")
    acts = table(group("art", 40) + group("code", 10))
    draws = [release(acts, Query.MEMBERS, (), 1, Decimal(1))[0] for _ in range(400)]
    values = np.array([one.value for one in draws])
    # Discrete Laplace of scale 1 has a variance of 2 p / (1 - p)^2, p = 1/e: 1.84. Five standard errors.
    assert abs(values.mean() - 40) < 5 * math.sqrt(1.84 / 400)
    assert 1.84 / 2 < values.var() < 1.84 * 2
    assert draws[0].within == 3
    assert np.mean(np.abs(values - 40) <= 3) > 0.9
    assert 1 <= draws[0].scale < 1.000001


def test_one_member_counts_for_no_more_than_the_cap() -> None:
    pytest.importorskip("opendp")
    acts = group("art", 10)
    whale = [*acts, ("whale", "art", 1_000_000)]
    huge = Decimal(100)  # so little noise that the sums can be compared
    without = release(table(acts), Query.ENGAGEMENT, ("art",), 2_000, huge)[0]
    beside = release(table(whale), Query.ENGAGEMENT, ("art",), 2_000, huge)[0]
    assert abs(without.value - 10_000) < 1_000
    assert abs(beside.value - 12_000) < 1_000


def test_figures_share_epsilon_and_an_absent_domain_is_answered_too() -> None:
    pytest.importorskip("opendp")
    figures = release(table(group("art", 10)), Query.ACTS, ("art", "none"), 5, Decimal(1))
    assert [one.domain for one in figures] == ["art", "none"]
    assert all(one.epsilon == Decimal("0.5") and 10 <= one.scale < 10.001 for one in figures)


@settings(deadline=None, max_examples=25)
@given(st.decimals("0.000001", "100", places=6), st.integers(1, 1 << 40))
def test_what_the_library_proves_is_never_above_what_was_asked(epsilon: Decimal, cap: int) -> None:
    dp = pytest.importorskip("opendp.prelude")
    value, scale = noisy._noisy_sum([cap, 3], cap, float(epsilon))
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.symmetric_distance()
    measure = space >> dp.t.then_clamp((0, cap)) >> dp.t.then_sum() >> dp.m.then_laplace(scale)
    assert measure.map(1) <= float(epsilon)
    assert isinstance(value, int)


def test_the_budget_is_paid_first_and_refused_when_spent(keeper: Keeper) -> None:
    session = keeper.vault.enter(keeper.identity, "noisy figures", Level.AGGREGATES)
    with pytest.raises(AttentionError, match="0 of 0 is left") as caught:
        spend(session, Decimal("0.1"), {})
    assert "--set" in (caught.value.hint or "")
    keeper.vault.enter(keeper.identity, noisy.BUDGET, Level.MANAGE).done({"epsilon": "0.3"})
    for left in ("0.2", "0.1", "0.0"):
        assert spend(session, Decimal("0.1"), {"query": "acts"}).left == Decimal(left)
    with pytest.raises(AttentionError, match=r"0\.0 of 0\.3 is left"):
        spend(session, Decimal("0.000001"), {})
    found = account(keeper.vault.ledger().entries())
    assert (found.allowed, found.spent) == (Decimal("0.3"), Decimal("0.3"))
    # Whoever takes a release out of the account breaks the chain.
    path = keeper.vault.ledger().path
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for line in lines if b'"spent"' not in line))
    with pytest.raises(CheckFailed):
        account(keeper.vault.ledger().entries())


@pytest.mark.parametrize("text", ["0", "-1", "101", "1e-7", "nan", "inf", "", "much", "0.0000001"])
def test_an_epsilon_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(AttentionError, match="not an epsilon"):
        read_epsilon(text)


def test_caps_and_domains_that_are_none_are_refused() -> None:
    acts = table(group("art", 3))
    for query, domains, cap, said in (
        (Query.ACTS, (), 0, "a cap of 0"),
        (Query.ACTS, (), 1 << 41, "a cap of"),
        (Query.MEMBERS, (), 2, "a member is one member"),
        (Query.ACTS, ("art", "art"), 1, "named twice"),
    ):
        with pytest.raises(AttentionError, match=said):
            release(acts, query, domains, cap, Decimal(1))
