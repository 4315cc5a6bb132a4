"""Past epochs under another policy.

rehearse
  the policies they have ........ every leaf, root and total bit for bit
  other rules ................... what building the epochs by them from the acts gives, account by account
  domains in another order ...... the same values, under other numbers
  from the second epoch on ...... begins with the published standings
  nobody moves by their own doing  winners and losers sum to the change of the mint
refused
  no epoch, a missing one, a range that is not there, one that follows another
  a domain left out, another window, another length, rows of another root
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.epoch.sample import EPOCH, build, changed, forge, policy, publish_all
from timebank_chain.epoch import PublishedEpoch, publish, read_epoch
from timebank_chain.epoch.rehearse import rehearse
from timebank_chain.errors import EpochError, PolicyError, TamperedEpoch
from timebank_chain.valuation import Bracket, Policy
from timebank_chain.valuation.inequality import measure


@pytest.fixture(scope="module")
def epochs(tmp_path_factory: pytest.TempPathFactory) -> list[PublishedEpoch]:
    return publish_all(tmp_path_factory.mktemp("epochs"))


@pytest.fixture
def folder(epochs: list[PublishedEpoch]) -> Path:
    return epochs[0].folder.parent


def gentler() -> Policy:
    """No bonus, no penalty, value fades more slowly, and the richest count less."""
    rules = policy()
    return replace(
        rules,
        version=2,
        decay_k=rules.decay_k // 2,
        brackets=(Bracket(0, 1000), Bracket(1_000, 300)),
        domains=tuple(
            replace(one, low=0, high=0, bonus_milli=1_000, penalty_milli=0) for one in rules.domains
        ),
    )


def built_by(rules: Policy, folder: Path, *, first: PublishedEpoch | None = None) -> list[PublishedEpoch]:
    """The same epochs, built from the acts by other rules: the road everything else takes."""
    made = [] if first is None else [first]
    for number in range(len(made) + 1, 4):
        made.append(publish(build(number, made[-1] if made else None, policy=rules), folder))
    return made


def test_by_their_own_policy_bit_for_bit(epochs: list[PublishedEpoch], folder: Path) -> None:
    found = rehearse(folder, policy())
    assert found.identical and [one.epoch for one in found.epochs] == [1, 2, 3]
    assert (found.winners, found.losers, found.gained, found.lost) == (0, 0, 0, 0)
    for one, published in zip(found.epochs, epochs, strict=True):
        assert one.mint == (published.header.total_mint,) * 2
        assert one.earned == (published.header.total_earned,) * 2


def test_other_rules_give_what_building_by_them_gives(
    epochs: list[PublishedEpoch], folder: Path, tmp_path: Path
) -> None:
    found = rehearse(folder, gentler())
    made = built_by(gentler(), tmp_path)
    assert not found.identical
    for one, published, other in zip(found.epochs, epochs, made, strict=True):
        assert one.mint == (published.header.total_mint, other.header.total_mint)
        assert one.earned == (published.header.total_earned, other.header.total_earned)
        assert one.mint_inequality == (measure(published.accounts.mint), measure(other.accounts.mint))
    assert np.array_equal(found.accounts, made[-1].accounts.account)
    assert found.standing[1].tolist() == made[-1].accounts.standing.tolist()
    assert found.mint[1].tolist() == made[-1].accounts.cumulative_mint.tolist()
    assert found.mint[0].tolist() == epochs[-1].accounts.cumulative_mint.tolist()
    minted = [sum(one.mint[side] for one in found.epochs) for side in (0, 1)]
    assert found.gained - found.lost == minted[1] - minted[0]
    assert found.winners and found.losers
    best = found.most_moved(1, up=True)[0]
    assert found.difference[best] == max(found.difference)
    assert found.most_moved(99, up=False)[0] == int(np.argmin(found.difference))
    assert len(found.most_moved(99, up=True)) == found.winners


def test_domains_are_known_by_name(epochs: list[PublishedEpoch], folder: Path) -> None:
    turned = replace(policy(), domains=policy().domains[::-1])
    found = rehearse(folder, turned)
    assert not found.identical, "the leaves count domains in another order"
    assert found.mint[0].tolist() == found.mint[1].tolist()


def test_in_force_from_the_second_epoch_on(
    epochs: list[PublishedEpoch], folder: Path, tmp_path: Path
) -> None:
    found = rehearse(folder, gentler(), first=2, last=3)
    made = built_by(gentler(), tmp_path, first=epochs[0])
    assert [one.mint[1] for one in found.epochs] == [one.header.total_mint for one in made[1:]]
    assert found.standing[1].tolist() == made[-1].accounts.standing.tolist()
    only = rehearse(folder, policy(), first=2, last=2)
    assert only.identical and [one.epoch for one in only.epochs] == [2]


def test_a_forged_number_does_not_come_out_again(epochs: list[PublishedEpoch], tmp_path: Path) -> None:
    shutil.copytree(epochs[0].folder.parent / "policies", tmp_path / "policies")
    mint = int(epochs[0].accounts.mint[2]) + 1
    forge(tmp_path, epochs[0], accounts=changed(epochs[0].accounts, "mint", 2, mint))
    found = rehearse(tmp_path, policy())
    assert not found.identical
    assert found.difference.tolist() == [0, 0, -1, *[0] * (len(found.accounts) - 3)]


class TestRefused:
    def test_none_or_not_there(self, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(EpochError, match="no epoch is published"):
            rehearse(tmp_path, policy())
        for first, last in ((1, 4), (0, 2), (3, 2)):
            with pytest.raises(EpochError, match=f"epochs {first} to {last} are not all there: 1 to 3"):
                rehearse(folder, policy(), first=first, last=last)

    def test_one_missing(self, folder: Path, tmp_path: Path) -> None:
        shutil.copytree(folder, tmp_path / "epochs")
        shutil.rmtree(tmp_path / "epochs" / "000002")
        with pytest.raises(TamperedEpoch, match="epoch 2 is missing, epoch 3 is there"):
            rehearse(tmp_path / "epochs", policy())

    def test_one_that_follows_another(
        self, epochs: list[PublishedEpoch], folder: Path, tmp_path: Path
    ) -> None:
        shutil.copytree(folder, tmp_path / "epochs")
        shutil.rmtree(tmp_path / "epochs" / "000002")
        forge(tmp_path / "epochs", epochs[1], pot=5)
        with pytest.raises(TamperedEpoch, match="epoch 3 does not follow"):
            rehearse(tmp_path / "epochs", policy())

    def test_rows_of_another_root(self, epochs: list[PublishedEpoch], folder: Path, tmp_path: Path) -> None:
        shutil.copytree(folder / "policies", tmp_path / "policies")
        forge(tmp_path, epochs[0], account_root=bytes(32))
        with pytest.raises(TamperedEpoch, match="account rows have the root"):
            rehearse(tmp_path, policy())

    def test_a_domain_left_out(self, folder: Path) -> None:
        with pytest.raises(PolicyError, match=r"acts are of domain 'talk', which the policy does not know"):
            rehearse(folder, replace(policy(), domains=policy().domains[:1]))

    def test_another_window(self, folder: Path) -> None:
        code, talk = policy().domains
        with pytest.raises(PolicyError, match="'code' was counted over 1w, the policy asks for 1d"):
            rehearse(folder, replace(policy(), domains=(replace(code, window_ms=86_400_000), talk)))

    def test_another_length(self, folder: Path) -> None:
        with pytest.raises(PolicyError, match="the epoch is 4w long, the policy's 8w"):
            rehearse(folder, replace(policy(), epoch_ms=2 * EPOCH))
        assert not rehearse(folder, replace(policy(), epoch_ms=0, decay_k=1)).identical

    def test_reader_is_asked(self, folder: Path) -> None:
        asked: list[int] = []

        def read(number: int) -> PublishedEpoch:
            asked.append(number)
            return read_epoch(folder, number)

        rehearse(folder, policy(), first=2, read=read)
        assert asked == [1, 2, 3]
