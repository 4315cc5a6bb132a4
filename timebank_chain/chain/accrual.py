"""What deposits earned and loans cost between two movements: the lines a statement shows beside them."""

from __future__ import annotations

from dataclasses import dataclass

from timebank_chain.chain.event import Place

ANOTHER_NODE = "ask another node; if it says the same, run timebank audit"


@dataclass(frozen=True)
class Accrual:
    """One change of a deposit's unpaid income, or of what a loan owes; micro-credits.

    Attributes
    ----------
    at
        Place of the event; ``None`` for what is due at the statement's block and stands in no event yet.
    subject
        ``deposit``, ``loan`` (against a receipt), ``loan on standing`` or ``pool shares``.
    receipt_id
        Number of the deposit, or of the receipt that secures the loan; 0 on standing.
    kind
        Of a deposit: ``income`` of a release, ``income due`` (the next transaction at the bank will release
        it), ``income paid``, ``income to principal`` (rolled over or lapsed), ``income forfeited`` (early
        exit), ``income acquired`` and ``income handed over`` (with the receipt).
        Of a loan: ``borrowed``, ``interest``, ``interest due``, ``repaid``, ``repaid from claim``,
        ``liquidated``, ``written off``, ``recovered``, ``rounding`` (shares of the pool's debt are whole
        numbers).
        Of pool shares: ``supplied``, ``redeemed``, ``shares received``, ``shares sent``, ``interest``,
        ``interest due``, ``loss``, ``rounding``.
    amount
        Signed change; income before the bank's fee.
    total
        Income that is earned and not paid, or what is owed, after it.
    time
        Unix seconds.
    fee
        Of income that was paid or added to the principal.
    released, weight, total_weight
        Of income: micro-credits released to all deposits, this deposit's weight, and everybody's.
    """

    at: Place | None
    subject: str
    receipt_id: int
    kind: str
    amount: int
    total: int
    time: int = 0
    fee: int = 0
    released: int = 0
    weight: int = 0
    total_weight: int = 0
