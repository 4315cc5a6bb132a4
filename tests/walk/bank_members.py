"""What members of the walk have at hand, as chance has it: proofs, receipts, offers, amounts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from tests.walk.bank_sides import BANK, DAY, LINKED, PLACEHOLDERS, POLICY, WALKERS, BothSides, Planned
from tests.walk.chain_side import Step
from tests.world import GENESIS_MS
from timebank_chain.chain.addresses import address_bytes
from timebank_chain.epoch.header import EpochHeader
from timebank_chain.epoch.leaves import AccountLeaf
from timebank_chain.epoch.tree import MerkleTree
from timebank_chain.spec.attention_credit import ZERO_ADDRESS
from timebank_chain.spec.credit_lease import LeaseOffer
from timebank_chain.units import Q24
from timebank_chain.valuation import policy_hash


@dataclass(frozen=True)
class Proven:
    """An account's leaf in an epoch, with its proof."""

    leaf: AccountLeaf
    proof: tuple[bytes, ...]


class Members(BothSides):
    """Both sides, and eight members who draw what they act with: mostly good, sometimes not."""

    def __post_init__(self) -> None:
        self.granted: Counter[str] = Counter()
        self.proven: dict[str, Proven] = {}
        self.old_proofs: list[Proven] = []
        super().__post_init__()

    def run_epoch(self) -> None:
        """Grant something to most accounts, prove standing to all, and make an epoch of it final."""
        draw, oracle = self.draw, self.world.timebank.rate_oracle
        self.old_proofs = list(self.proven.values()) or self.old_proofs
        leaves, earned = [], 0
        pot = draw.choice([0, self.fee_pool.bonus // 2])
        mints = [
            draw.choice([0, draw.randrange(1, 50), draw.randrange(10**6, 5 * 10**8)]) for _ in self.accounts
        ]
        for index, (account, mint) in enumerate(zip(sorted(self.accounts), mints, strict=True)):
            self.granted[account] += mint
            earned += mint
            leaves.append(
                AccountLeaf(
                    index=index,
                    account=address_bytes(to_checksum_address(account)),
                    activity_end=0,
                    earned=mint,
                    running_earned=earned,
                    running_active=index + 1,
                    standing=draw.choice([0, draw.randrange(10**3), draw.randrange(10**9)]),
                    mint=mint,
                    running_mint=earned,
                    cumulative_mint=self.granted[account],
                )
            )
        hashes = b"".join(leaf.hash() for leaf in leaves)
        tree = MerkleTree(np.frombuffer(hashes, dtype=np.uint8).reshape(-1, 32))
        number = oracle.latest_epoch() + 1
        start = oracle.latest_end_ms() if number > 1 else GENESIS_MS
        header = EpochHeader(
            epoch=number,
            start_ms=start,
            end_ms=max(start + 1, self.node.now() * 1_000),
            policy_hash=policy_hash(POLICY),
            activity_root=bytes(32),
            activity_count=0,
            account_root=tree.root,
            account_count=len(leaves),
            active_count=len(leaves),
            total_earned=max(earned, 1),
            total_mint=earned,
            rate_q24=Q24,
            pot=pot,
            previous_header_hash=oracle.latest_header_hash(),
            data_hash=keccak(text=f"epoch {number}"),
            data_uri="",
        )
        self.world.propose(header)
        self.node.pass_time(oracle.challenge_window())
        self.world.send("stranger", oracle.finalise(header))
        self.now = self.node.now()
        self.fee_pool.burn_pot(pot)
        self.distributor.accept_root(number, tree.root)
        self.oracle.latest_end_ms = header.end_ms
        self.tree = tree
        self.proven = {
            account: Proven(leaf, tuple(tree.proof(leaf.index)))
            for account, leaf in zip(sorted(self.accounts), leaves, strict=True)
        }
        self.compare_books()

    def claim(self, account: str) -> Planned:
        """Somebody claims for an account."""
        proven = self.proven[account]
        step = Step(
            self.draw.randrange(WALKERS),
            "CreditDistributor",
            "claim",
            (proven.leaf.as_call(), list(proven.proof)),
        )
        return Planned(step, (proven.leaf, proven.proof))

    def accounts_of(self, walker: int) -> list[str]:
        """The accounts a member earns under: its own, and placeholders linked to it."""
        own = [one for one, number in zip(PLACEHOLDERS, LINKED, strict=True) if number == walker]
        return [self.members[walker], *own]

    def someone(self) -> str:
        """A member's address."""
        return self.draw.choice(self.members)

    def amount(self, around: int) -> int:
        """An amount: nothing, dust, a part of ``around``, all of it, or more."""
        draw = self.draw
        return draw.choice(
            [
                0,
                1,
                draw.randrange(2, 1_000),
                draw.randrange(1_000, 20_000),
                *([draw.randrange(around + 1)] * 6),
                around,
                around + 1,
                2 * around + 1,
            ]
        )

    def receipt(self, walker: int | None = None) -> int:
        """A receipt: mostly one the member holds, else any, sometimes one that is not there."""
        draw = self.draw
        if draw.random() < 0.03 or not self.bank.positions:
            return draw.choice([0, self.bank.books.next_id, draw.randrange(self.bank.books.next_id + 1)])
        if walker is not None and draw.random() < 0.85:
            mine = [one for one, owner in self.bank.owners.items() if owner == self.members[walker]]
            if mine:
                return draw.choice(mine)
        return draw.choice(list(self.bank.positions))

    def pledge_of(self, walker: int | None) -> int:
        """A pledged receipt: mostly the member's own."""
        loans = [
            receipt
            for receipt, owner in self.bank.owners.items()
            if owner == self.lending.address
            and (walker is None or self.lending.pledged_loan(receipt).borrower == self.members[walker])
        ]
        return self.draw.choice(loans) if loans and self.draw.random() < 0.95 else self.receipt()

    def pledge_and_room(self, walker: int) -> tuple[int, int]:
        """A pledged receipt, and an amount around what it still carries: at its edge a year makes it fail."""
        receipt = self.pledge_of(walker)
        if receipt not in self.bank.positions:
            return receipt, self.amount(10**6)
        value = self.bank.exit_value_of(receipt, now=self.now)
        room = value * BANK.risk.max_ltv_bps // 10_000 - self.lending.debt_of(receipt, now=self.now)
        return receipt, self.draw.choice([max(0, room - 5), self.amount(max(0, room))])

    def lease_id(self) -> int:
        """A lease: mostly one that runs."""
        running = list(self.lease.leases)
        if running and self.draw.random() < 0.95:
            return self.draw.choice(running)
        return self.draw.randrange(self.lease.lease_count + 2)

    def offer(self) -> LeaseOffer:
        """An offer: an old one, or a new one with mostly good fields."""
        draw = self.draw
        good = [one for one in self.offers if one.expires_at > self.now] or self.offers
        if good and draw.random() < 0.6:
            return draw.choice(good if draw.random() < 0.9 else self.offers)
        amount = draw.choice([draw.randrange(1, 100), draw.randrange(10**4, 10**8)])
        lender = self.someone()
        made = LeaseOffer(
            lender=lender,
            lessee=self.someone() if draw.random() < 0.1 else ZERO_ADDRESS,
            amount=amount if draw.random() < 0.98 else 0,
            min_take=draw.choice([1, max(1, amount // 3), amount if draw.random() < 0.9 else amount + 1]),
            rent=draw.choice([0, 1, amount // 20, amount // 3]),
            term=draw.choice([1, 3_600, DAY, 7 * DAY, DAY if draw.random() < 0.95 else 0]),
            on_standing=draw.random() < 0.6,
            expires_at=self.now + (draw.choice([30 * DAY, 365 * DAY]) if draw.random() < 0.95 else -1),
            series=self.lease.series_of(lender) if draw.random() < 0.97 else draw.randrange(3),
            salt=draw.randrange(2**256),
        )
        self.offers = [*self.offers[-30:], made]
        return made

    def proof(self, walker: int) -> Proven:
        """A proof of standing: mostly the member's own and fresh."""
        draw = self.draw
        if draw.random() < 0.04 and self.old_proofs:
            return draw.choice(self.old_proofs)
        if draw.random() < 0.04:
            return self.proven[draw.choice(self.accounts)]
        proven = self.proven[draw.choice(self.accounts_of(walker))]
        if draw.random() < 0.02:
            return replace(proven, leaf=replace(proven.leaf, standing=proven.leaf.standing + 1))
        return proven
