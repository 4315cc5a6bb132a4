"""The time bank: it holds what it owes, each deposit is its events', and no income came from nowhere."""

from __future__ import annotations

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.replay import ZERO_ADDRESS
from timebank_chain.audit.report import Check, Tally
from timebank_chain.units import format_micro

_SILENT = "the bank's storage was changed without an event"


def check_holdings(case: AuditCase) -> Check:
    """Check that the bank's balance is what it owes and what was given and not collected yet."""
    tally = Tally("A34", "time bank: balance = principals + pending + owed + gifts not collected yet")
    book = case.bank.deposits
    gifts = case.movements.gifts["TimeBank"]
    books = case.evidence.call("TimeBank", "books")
    balance = case.evidence.call("AttentionCredit", "balanceOf", case.evidence.address("TimeBank"))
    tally.equal("TimeBank.books, principal", book.principal, books["principal"], _SILENT)
    tally.equal(
        "TimeBank, balance",
        int(books["principal"]) + int(books["pending"]) + int(books["owed"]) + gifts,
        balance,
        "the bank holds another sum than its depositors and their income are owed",
    )
    for difference in case.movements.gift_differences["TimeBank"]:
        tally.add(difference)
    if gifts:
        tally.note(
            f"{format_micro(gifts)} credits were given to the bank and are not collected yet (collect)"
        )
    tally.evidence.update(principal=book.principal, pending=book.pending, owed=book.owed, balance=balance)
    return tally.done(
        f"{format_micro(book.principal)} of principals + {format_micro(book.pending + book.owed)} of income"
    )


def check_deposits(case: AuditCase) -> Check:
    """Check every deposit, receipt and term, and the books, against what the events leave."""
    tally = Tally("A35", "every deposit and receipt = its events: principal, term, maturity, index, holder")
    book, call = case.bank.deposits, case.evidence.call
    for difference in case.bank.anomalies_of("deposits"):
        tally.add(difference)
    books = {
        "incomeIndex": book.income_index,
        "accruedAt": book.accrued_at,
        "owed": book.owed,
        "nextId": book.next_id,
        "totalWeight": book.total_weight,
        "principal": book.principal,
        "pending": book.pending,
    }
    for name, value in call("TimeBank", "books").items():
        tally.equal(f"TimeBank.books, {name}", books[name], value, _SILENT)
    tally.equal(
        "receipts", sorted(book.deposits), sorted(book.owners), "a receipt without a deposit, or the reverse"
    )
    for index, (receipt, deposit) in enumerate(sorted(book.deposits.items())):
        if index % 500 == 0:
            case.progress(f"deposits: {index:,} of {len(book.deposits):,}")
        expected = {
            "principal": deposit.principal,
            "maturesAt": deposit.matures_at,
            "termId": deposit.term_id,
            "incomeIndex": deposit.income_index,
        }
        tally.equal(
            f"TimeBank.positionOf({receipt})", expected, call("TimeBank", "positionOf", receipt), _SILENT
        )
        tally.equal(
            f"TimeBank.ownerOf({receipt})",
            book.owners.get(receipt, ZERO_ADDRESS),
            call("TimeBank", "ownerOf", receipt),
            "the receipt is in hands that no event put it in",
        )
        tally.equal(
            f"TimeBank.getApproved({receipt})",
            book.approved.get(receipt, ZERO_ADDRESS),
            call("TimeBank", "getApproved", receipt),
            "somebody may take the receipt whom its holder never approved",
        )
    for holder, receipts in sorted(book.receipts_of.items()):
        tally.equal(f"TimeBank.balanceOf({holder})", receipts, call("TimeBank", "balanceOf", holder), _SILENT)
    tally.evidence.update(deposits=len(book.deposits), closed=len(book.closed))
    return tally.done(f"{len(book.deposits):,} deposits, {len(book.closed):,} closed before")


def check_income(case: AuditCase) -> Check:
    """Check every release, payment, fee and penalty, and that they balance with what came in."""
    tally = Tally("A36", "income: each release, payment, fee and penalty as computed; none from nowhere")
    book = case.bank.deposits
    for difference in case.bank.anomalies_of("income"):
        tally.add(difference)
    books = case.evidence.call("TimeBank", "books")
    tally.equal(
        "income paid + pending + owed",
        book.received + book.penalties,
        book.paid + int(books["pending"]) + int(books["owed"]),
        "income is another sum than the fees, gifts and penalties it came from",
    )
    due = sum(book.income(deposit) for deposit in book.deposits.values())
    tally.require(
        due <= int(books["owed"]),
        "TimeBank.books, owed",
        f"at least {due} (the incomes of all deposits)",
        books["owed"],
        "the bank has promised more income than it released",
    )
    tally.evidence.update(
        received=book.received,
        penalties=book.penalties,
        released=book.released,
        paid=book.paid,
        fees=book.fees,
        due=due,
    )
    return tally.done(
        f"{format_micro(book.received)} received + {format_micro(book.penalties)} of penalties,"
        f" {format_micro(book.paid)} paid out"
    )
