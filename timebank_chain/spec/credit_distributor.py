"""The distributor: claims against the newest account root, standing orders, claims pledged to a creditor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from timebank_chain.spec import epoch_tree
from timebank_chain.spec.attention_credit import ZERO_ADDRESS, AttentionCredit
from timebank_chain.spec.epoch_tree import AccountLeaf
from timebank_chain.spec.revert import require
from timebank_chain.units import MicroCredit

__all__ = ["ClaimRecord", "Claims", "CreditDistributor"]

#: The eight ASCII bytes "timebank" that a placeholder begins with, as text.
PLACEHOLDER_PREFIX = "0x" + b"timebank".hex()


class Creditor(Protocol):
    """Who is paid first from a member's claims once a promise is overdue."""

    @property
    def address(self) -> str:
        """Its own address."""
        ...

    def due_from_claims(self, borrower: str, *, now: int) -> int:
        """How much of the borrower's next claims goes to the debt."""
        ...

    def repay_from_claim(self, caller: str, borrower: str, amount: int, *, now: int) -> None:
        """Book a repayment that was minted to the creditor just before."""
        ...


class Claims(Protocol):
    """What a creditor needs of the distributor."""

    @property
    def address(self) -> str:
        """Its own."""
        ...

    @property
    def account_root(self) -> bytes:
        """Account root of the latest finalised epoch."""
        ...

    def is_latest_leaf(self, leaf: AccountLeaf, proof: Sequence[bytes]) -> bool:
        """Return whether a leaf stands under that root."""
        ...

    def receiver_of(self, account: str) -> str:
        """Return who gets what an account claims."""
        ...

    def creditor_of(self, account: str) -> str:
        """Return whom an account's claims are pledged to; zero for nobody."""
        ...

    def pledge_claims(self, caller: str, account: str, wallet: str) -> None:
        """Pledge the claims of an account and its wallet to the caller."""
        ...

    def release_claims(self, caller: str, account: str, wallet: str) -> None:
        """Free them."""
        ...


class Deposits(Protocol):
    """Where standing orders deposit."""

    @property
    def address(self) -> str:
        """Its own address."""
        ...

    def term_of(self, term_id: int) -> object:
        """Revert with ``NoSuchTerm`` when there is no such term."""
        ...

    def deposit_claim(self, caller: str, owner: str, amount: int, term_id: int, *, now: int) -> int:
        """Book a claim that was minted to the bank just before."""
        ...


@dataclass
class ClaimRecord:
    """What is kept of an account: claimed so far, its creditor's address, its standing order's term."""

    claimed: int = 0
    creditor: str = ZERO_ADDRESS
    order_term_id: int | None = None


@dataclass
class CreditDistributor:
    """``token/CreditDistributor.sol``: amounts in micro-credits, addresses as lower-case text.

    Attributes
    ----------
    wallets
        Linked placeholders and their wallets, as the registry has them.
    epoch, account_root
        Of the newest finalised epoch.
    time_bank, creditors
        The rooms of the bank, once they are set: the creditors are the lending pool and the lease.
    """

    credit: AttentionCredit
    address: str
    wallets: Mapping[str, str]
    epoch: int = 0
    account_root: bytes = bytes(32)
    time_bank: Deposits | None = None
    creditors: tuple[Creditor, ...] = ()
    records: dict[str, ClaimRecord] = field(default_factory=dict)

    # Claims

    def claim(self, caller: str, leaf: AccountLeaf, proof: Sequence[bytes], *, now: int) -> MicroCredit:
        """Mint what an account has been granted and not yet claimed; anybody may call it."""
        require(self.epoch != 0, "NoEpochFinalised")
        require(self.is_latest_leaf(leaf, proof), "LeafNotInRoot", leaf.index, self.account_root)
        account = _text(leaf.account)
        receiver = self.receiver_of(account)
        require(receiver != ZERO_ADDRESS, "NotLinked", account)
        claimed = self.claimed(account)
        require(leaf.cumulative_mint > claimed, "NothingToClaim", account, claimed)
        return self._claim(leaf, receiver, now)

    def claim_many(
        self, caller: str, leaves: Sequence[AccountLeaf], proof: Sequence[bytes], depth: int, *, now: int
    ) -> MicroCredit:
        """Claim for neighbours with one proof; accounts with nothing to claim or no wallet are left out."""
        require(self.epoch != 0, "NoEpochFinalised")
        require(bool(leaves), "NoLeaves")
        first = leaves[0].index
        for at, leaf in enumerate(leaves):
            require(leaf.index == first + at, "LeavesNotContiguous", leaf.index, first + at)
        hashes = [epoch_tree.hash_account_leaf(leaf) for leaf in leaves]
        proven = epoch_tree.verify_range(hashes, first, proof, depth, self.account_root)
        require(proven, "LeafNotInRoot", first, self.account_root)
        minted = 0
        for leaf in leaves:
            receiver = self.receiver_of(_text(leaf.account))
            if receiver != ZERO_ADDRESS:
                minted += self._claim(leaf, receiver, now)
        return MicroCredit(minted)

    # Standing orders

    def set_standing_order(self, caller: str, account: str, term_id: int) -> None:
        """Deposit later claims of an account under a term."""
        self._check_holder(account, caller)
        bank = self.time_bank
        require(bank is not None, "RoomsNotSet")
        assert bank is not None  # noqa: S101 - the line above; mypy does not see through it
        bank.term_of(term_id)
        self._record(account).order_term_id = term_id

    def end_standing_order(self, caller: str, account: str) -> None:
        """End a standing order."""
        self._check_holder(account, caller)
        self._record(account).order_term_id = None

    # Pledges

    def pledge_claims(self, caller: str, account: str, wallet: str) -> None:
        """Pledge the claims of an account and of its wallet to the caller, a creditor."""
        self._check_creditor(caller)
        self._check_holder(account, wallet)
        self._check_no_other(account, caller)
        self._check_no_other(wallet, caller)
        self._record(account).creditor = caller
        self._record(wallet).creditor = caller

    def release_claims(self, caller: str, account: str, wallet: str) -> None:
        """Free claims pledged to the caller."""
        self._check_creditor(caller)
        self._check_no_other(account, caller)
        self._check_no_other(wallet, caller)
        self._record(account).creditor = ZERO_ADDRESS
        self._record(wallet).creditor = ZERO_ADDRESS

    # Roots

    def accept_root(self, epoch: int, account_root: bytes) -> None:
        """Take over a finalised epoch; only the oracle does. The pot is the fee pool's to burn."""
        self.epoch = epoch
        self.account_root = account_root

    # Views

    def claimed(self, account: str) -> MicroCredit:
        """Return what was minted for an account so far."""
        return MicroCredit(self._look(account).claimed)

    def creditor_of(self, account: str) -> str:
        """Return the creditor an account's claims are pledged to; the zero address for none."""
        return self._look(account).creditor

    def standing_order_of(self, account: str) -> tuple[bool, int]:
        """Return whether there is a standing order, and its term."""
        term_id = self._look(account).order_term_id
        return term_id is not None, term_id or 0

    def receiver_of(self, account: str) -> str:
        """Return who gets what an account claims; the zero address for a placeholder without a wallet."""
        return self.wallets.get(account, ZERO_ADDRESS) if account.startswith(PLACEHOLDER_PREFIX) else account

    def is_latest_leaf(self, leaf: AccountLeaf, proof: Sequence[bytes]) -> bool:
        """Return whether a leaf stands under the newest account root."""
        leaf_hash = epoch_tree.hash_account_leaf(leaf)
        return epoch_tree.verify(leaf_hash, leaf.index, proof, self.account_root)

    # Inside

    def _claim(self, leaf: AccountLeaf, receiver: str, now: int) -> MicroCredit:
        account = _text(leaf.account)
        record = self._record(account)
        amount = leaf.cumulative_mint - record.claimed
        if amount <= 0:
            return MicroCredit(0)
        record.claimed = leaf.cumulative_mint
        # What a placeholder earned repays the debt of its wallet, whichever account the debt was made on.
        creditor = record.creditor if record.creditor != ZERO_ADDRESS else self.creditor_of(receiver)
        rest = amount - self._to_creditor(creditor, receiver, amount, now)
        bank, term_id = self.time_bank, record.order_term_id
        if rest and bank is not None and term_id is not None:
            self.credit.mint(bank.address, rest)
            bank.deposit_claim(self.address, receiver, rest, term_id, now=now)
        else:
            self.credit.mint(receiver, rest)
        return MicroCredit(amount)

    def _to_creditor(self, creditor: str, receiver: str, amount: int, now: int) -> int:
        found = next((one for one in self.creditors if one.address == creditor), None)
        paid = 0 if found is None else min(found.due_from_claims(receiver, now=now), amount)
        if found is not None and paid:
            self.credit.mint(found.address, paid)
            found.repay_from_claim(self.address, receiver, paid, now=now)
        return paid

    def _record(self, account: str) -> ClaimRecord:
        return self.records.setdefault(account, ClaimRecord())

    def _look(self, account: str) -> ClaimRecord:
        return self.records.get(account) or ClaimRecord()

    def _check_holder(self, account: str, wallet: str) -> None:
        held = wallet != ZERO_ADDRESS and self.receiver_of(account) == wallet
        require(held, "NotAccountHolder", account, wallet)

    def _check_creditor(self, caller: str) -> None:
        require(any(caller == one.address for one in self.creditors), "NotCreditor", caller)

    def _check_no_other(self, account: str, creditor: str) -> None:
        holder = self._look(account).creditor
        require(holder in (ZERO_ADDRESS, creditor), "ClaimsPledged", account, holder)


def _text(account: bytes) -> str:
    return "0x" + account.hex()
