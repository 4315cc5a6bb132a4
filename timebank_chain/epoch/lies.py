"""The ways an epoch can be wrong, each as a place to plant it at and a change to make.

Used by ``timebank_chain.epoch.corrupt``, for tests and drills only. Lies about mints make them smaller and
others grow what was earned with them, so that each can be proposed: a ``RateOracle`` takes no epoch that
mints more than rate and pot allow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from timebank_chain.epoch.draft import Draft, LeafRows
from timebank_chain.epoch.faults import TreeName
from timebank_chain.epoch.file import ACCOUNTS_FILE, ACTIVITIES_FILE
from timebank_chain.epoch.tree import ZERO_HASH
from timebank_chain.units import MAX_TIME_MS

Places = Callable[[Draft], LeafRows]
#: Takes the draft, the leaf, and whether to compute again what follows; tells what it did.
Plant = Callable[[Draft, int, bool], str]

_HEADER: LeafRows = np.zeros(1, dtype=np.int64)  # the one place of what stands in the header
_NOWHERE: LeafRows = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to be wrong.

    ``places`` gives the leaves it can be planted at, ``plant`` changes the draft and tells what it did.
    """

    fault_class: int
    name: str
    tree: TreeName
    help: str
    places: Places
    plant: Plant


def variants(fault_class: int | None = None) -> tuple[Variant, ...]:
    """Return all variants, or those of one class; the first of a class is the one taken by default."""
    return tuple(one for one in _VARIANTS if fault_class in (None, one.fault_class))


# Where: places that a variant can be planted at.


def _every(tree: TreeName) -> Places:
    return lambda draft: np.arange(draft.count(tree), dtype=np.int64)


def _above_zero(column: str) -> Places:
    return lambda draft: np.flatnonzero(draft.accounts[column] > 0)


def _header(_: Draft) -> LeafRows:
    return _HEADER


def _same_account_as_before(draft: Draft) -> LeafRows:
    account = draft.activities["account"]
    return np.flatnonzero((account[1:] == account[:-1]).all(axis=1)) + 1


def _with_padding(tree: TreeName) -> Places:
    def places(draft: Draft) -> LeafRows:
        # One more leaf must not make the tree higher.
        count = draft.count(tree)
        return np.array([count] if count > 1 and count & (count - 1) else [], dtype=np.int64)

    return places


def _with_acts(draft: Draft) -> LeafRows:
    return np.flatnonzero(draft.starts() < draft.accounts["activity_end"])


def _settling(late: bool) -> Places:
    def places(draft: Draft) -> LeafRows:
        moved = _settling_time(draft, late=late)
        return np.flatnonzero((moved >= 0) & (moved <= MAX_TIME_MS))

    return places


def _settling_time(draft: Draft, *, late: bool) -> LeafRows:
    """Return when each act would have to occur to settle just outside the epoch."""
    windows = np.array([domain.window_ms for domain in draft.policy.domains], dtype=np.int64)
    header = draft.published.header
    settled = header.end_ms + 1 if late else header.start_ms
    return settled - windows[draft.activities["domain"]]


def _elsewhere(draft: Draft) -> LeafRows:
    return np.flatnonzero(_record_between(draft) >= 0)


def _record_between(draft: Draft) -> LeafRows:
    """Return for each act another account's row whose record would leave the order as it is; -1: none."""
    record, account = draft.activities["record_id"], draft.activities["account"]
    count = len(record)
    keys = np.ascontiguousarray(record).view("S32").reshape(-1)
    order = np.argsort(keys)
    in_order = keys[order]
    same = np.zeros(count + 1, dtype=np.bool_)
    if count > 1:
        same[1:count] = (account[1:] == account[:-1]).all(axis=1)
    rank = np.empty(count, dtype=np.int64)
    rank[order] = np.arange(count)
    # The next greater record overall: above its own, hence above the one before; below the one after?
    following = np.minimum(rank + 1, count - 1)
    other = order[following]
    below_next = ~same[1:] | (in_order[following] < np.roll(keys, -1))
    return np.where((rank + 1 < count) & below_next, other, -1).astype(np.int64)


def _ends_early(draft: Draft) -> LeafRows:
    with_acts = _with_acts(draft)
    return with_acts[with_acts < draft.count("account") - 1]


def _turning_back(draft: Draft) -> LeafRows:
    return np.flatnonzero(draft.starts() > 0)


def _last_with_acts(draft: Draft) -> LeafRows:
    return np.array([row for row in _with_acts(draft)[-1:] if row == draft.count("account") - 1], np.int64)


def _below_first(draft: Draft) -> LeafRows:
    return np.arange(1, draft.count("account"), dtype=np.int64)


def _idle_and_old(draft: Draft) -> LeafRows:
    return np.flatnonzero((draft.starts() == draft.accounts["activity_end"]) & (draft.before() >= 0))


def _active_and_old(draft: Draft) -> LeafRows:
    return np.flatnonzero((draft.starts() < draft.accounts["activity_end"]) & (draft.before() >= 0))


def _with_room_below(draft: Draft) -> LeafRows:
    edges = [-1, *(int.from_bytes(name.tobytes(), "big") for name in draft.accounts["account"]), 1 << 160]
    room = [at for at in range(len(edges) - 1) if edges[at + 1] - edges[at] > 1]
    return np.array(room, dtype=np.int64)


# What: each plants one lie and tells it.


def _cell(tree: TreeName, column: str, change: int) -> Plant:
    def plant(draft: Draft, row: int, rehash: bool) -> str:
        message = draft.change(tree, column, row, change)
        if rehash:
            draft.follow(column, row, change)
        return message

    return plant


def _ruled(column: str, change: int) -> Plant:
    """Change a cell that nothing derives: the range ends."""

    def plant(draft: Draft, row: int, rehash: bool) -> str:
        message = draft.change("account", column, row, change)
        if rehash:
            draft.follow()
        return message

    return plant


def _unknown_domain(draft: Draft, row: int, rehash: bool) -> str:
    known = len(draft.policy.domains)
    message = draft.change("activity", "domain", row, known - int(draft.activities["domain"][row]))
    if rehash:
        draft.follow()
    return message


def _stray_index(tree: TreeName) -> Plant:
    def plant(draft: Draft, row: int, rehash: bool) -> str:
        draft.stray = tree, row, row + 1
        return f"{tree} {row}: its leaf says the index {row + 1} (not in the published rows)"

    return plant


def _hidden(tree: TreeName) -> Plant:
    def plant(draft: Draft, row: int, rehash: bool) -> str:
        draft.stray = tree, row, row
        return f"a leaf hides in the padding of the {tree} tree, at {row} (not in the published rows)"

    return plant


def _swap_activities(draft: Draft, row: int, rehash: bool) -> str:
    for column in draft.activities.values():
        column[[row - 1, row]] = column[[row, row - 1]]
    if rehash:
        draft.follow()
    return f"activities {row - 1} and {row} have changed places"


def _swap_accounts(draft: Draft, row: int, rehash: bool) -> str:
    accounts = draft.accounts
    start, middle = draft.starts()[[row - 1, row]].tolist()
    end = int(accounts["activity_end"][row])
    for column in accounts.values():
        column[[row - 1, row]] = column[[row, row - 1]]
    if rehash:
        order = [*range(middle, end), *range(start, middle)]
        for column in draft.activities.values():
            column[start:end] = column[order]
        accounts["activity_end"][[row - 1, row]] = start + end - middle, end
        draft.follow()
    return f"accounts {row - 1} and {row} have changed places"


def _repeat_account(draft: Draft, row: int, rehash: bool) -> str:
    _insert(draft, row + 1, draft.accounts["account"][row].tobytes())
    draft.follow()
    return f"account {row} stands again as account {row + 1}"


def _repeat_record(draft: Draft, row: int, rehash: bool) -> str:
    draft.activities["record_id"][row] = draft.activities["record_id"][row - 1]
    return f"activity {row}: its record is that of activity {row - 1}"


def _repeat_record_elsewhere(draft: Draft, row: int, rehash: bool) -> str:
    other = int(_record_between(draft)[row])
    draft.activities["record_id"][row] = draft.activities["record_id"][other]
    return f"activity {row}: its record is that of activity {other}"


def _settle(late: bool) -> Plant:
    def plant(draft: Draft, row: int, rehash: bool) -> str:
        occurred = draft.activities["occurred_ms"]
        moved = int(_settling_time(draft, late=late)[row])
        message = draft.change("activity", "occurred_ms", row, moved - int(occurred[row]))
        if rehash:
            draft.follow()
        return message

    return plant


def _turn_back(draft: Draft, row: int, rehash: bool) -> str:
    change = int(draft.starts()[row]) - 1 - int(draft.accounts["activity_end"][row])
    return _ruled("activity_end", change)(draft, row, rehash)


def _beyond(draft: Draft, row: int, rehash: bool) -> str:
    change = len(draft.activities["value"]) + 1 - int(draft.accounts["activity_end"][row])
    return _ruled("activity_end", change)(draft, row, rehash)


def _drop(draft: Draft, row: int, rehash: bool) -> str:
    name = draft.accounts["account"][row].tobytes().hex()
    start, end = int(draft.starts()[row]), int(draft.accounts["activity_end"][row])
    draft.accounts = {column: np.delete(cells, row, axis=0) for column, cells in draft.accounts.items()}
    if rehash:
        gone = slice(start, end)
        draft.activities = {
            column: np.delete(cells, gone, axis=0) for column, cells in draft.activities.items()
        }
        draft.accounts["activity_end"][row:] -= np.uint32(end - start)
        draft.follow()
    return f"account 0x{name}, leaf {row} until now, is gone"


def _invent(standing: int, cumulative_mint: int) -> Plant:
    def plant(draft: Draft, row: int, rehash: bool) -> str:
        names = draft.accounts["account"]
        below = int.from_bytes(names[row - 1].tobytes(), "big") if row else -1
        above = int.from_bytes(names[row].tobytes(), "big") if row < len(names) else 1 << 160
        name = ((below + above) // 2).to_bytes(20, "big")
        _insert(draft, row, name)
        draft.follow()
        draft.accounts["standing"][row] = standing
        draft.accounts["cumulative_mint"][row] = cumulative_mint
        return f"account {row}: 0x{name.hex()} never was"

    return plant


def _insert(draft: Draft, row: int, name: bytes) -> None:
    """Insert an account without acts."""
    starts = draft.accounts["activity_end"]
    start = starts[row - 1] if row else 0
    draft.accounts = {
        column: np.insert(cells, row, np.frombuffer(name, np.uint8) if column == "account" else 0, axis=0)
        for column, cells in draft.accounts.items()
    }
    draft.accounts["activity_end"][row] = start


def _total(field: str, change: int) -> Plant:
    def plant(draft: Draft, row: int, rehash: bool) -> str:
        was = getattr(draft.published.header, field)
        if rehash:
            draft.follow(field, 0, change)
        draft.said[field] = (draft.said["total_mint"] if rehash and field == "total_mint" else was) + change
        return f"header: {field} is {was + change}, was {was}"

    return plant


def _shorter(draft: Draft, row: int, rehash: bool) -> str:
    header = draft.published.header
    draft.said["end_ms"] = header.end_ms - 1
    if rehash:
        draft.follow()
    return f"header: end_ms is {header.end_ms - 1}, was {header.end_ms}"


def _no_root(field: str) -> Plant:
    def plant(draft: Draft, row: int, rehash: bool) -> str:
        draft.said[field] = ZERO_HASH
        return f"header: {field} is zero, was 0x{getattr(draft.published.header, field).hex()}"

    return plant


def _rootless(field: str) -> Plant:
    def plant(draft: Draft, row: int, rehash: bool) -> str:
        root = bytes(31) + b"\x01"
        draft.said[field] = root
        return f"header: {field} is 0x{root.hex()}, of a tree without leaves"

    return plant


def _no_accounts(draft: Draft, row: int, rehash: bool) -> str:
    count = draft.count("account")
    draft.accounts = {column: cells[:0] for column, cells in draft.accounts.items()}
    if rehash:
        draft.follow()
    return f"the {count} accounts are gone, their activities are not"


def _withhold(tree: TreeName, column: str) -> Plant:
    def plant(draft: Draft, row: int, rehash: bool) -> str:
        draft.publish_honest = True
        return _cell(tree, column, 1)(draft, row, rehash) + "; published is what was"

    return plant


def _withhold_file(name: str) -> Plant:
    def plant(draft: Draft, row: int, rehash: bool) -> str:
        draft.missing = name
        return f"the file {name} is missing"

    return plant


def _some(tree: TreeName) -> Places:
    return lambda draft: _HEADER if draft.count(tree) else _NOWHERE


def _none(tree: TreeName) -> Places:
    return lambda draft: _NOWHERE if draft.count(tree) else _HEADER


def _counted_mint(draft: Draft) -> LeafRows:
    return _HEADER if draft.published.header.total_mint else _NOWHERE


def _fixed_length(draft: Draft) -> LeafRows:
    header = draft.published.header
    return _HEADER if draft.policy.epoch_ms and header.end_ms - header.start_ms > 1 else _NOWHERE


_VARIANTS: tuple[Variant, ...] = (
    Variant(1, "value", "activity", "an act is worth one millionth more", _every("activity"),
            _cell("activity", "value", 1)),
    Variant(1, "domain", "activity", "an act of a domain the policy does not have", _every("activity"),
            _unknown_domain),
    Variant(2, "running", "activity", "the running sum of values", _every("activity"),
            _cell("activity", "running", 1)),
    Variant(2, "running-earned", "account", "the running sum of earned", _every("account"),
            _cell("account", "running_earned", 1)),
    Variant(2, "running-active", "account", "the running count of active accounts", _every("account"),
            _cell("account", "running_active", 1)),
    Variant(2, "activity-index", "activity", "a leaf says another index", _every("activity"),
            _stray_index("activity")),
    Variant(2, "account-index", "account", "a leaf says another index", _every("account"),
            _stray_index("account")),
    Variant(2, "activity-padding", "activity", "a leaf beyond the last, where there is padding",
            _with_padding("activity"), _hidden("activity")),
    Variant(2, "account-padding", "account", "a leaf beyond the last, where there is padding",
            _with_padding("account"), _hidden("account")),
    Variant(3, "activity-order", "activity", "two acts of one account change places",
            _same_account_as_before, _swap_activities),
    Variant(3, "account-order", "account", "two accounts change places", _below_first, _swap_accounts),
    Variant(3, "account-twice", "account", "an account stands twice", _every("account"), _repeat_account),
    Variant(3, "record-twice", "activity", "an act has the record of the one before it",
            _same_account_as_before, _repeat_record),
    Variant(3, "record-elsewhere", "activity", "an act has another's record, and the order holds",
            _elsewhere, _repeat_record_elsewhere),
    Variant(4, "early", "activity", "an act settles at the start, which is not in the epoch",
            _settling(late=False), _settle(late=False)),
    Variant(4, "late", "activity", "an act settles after the end", _settling(late=True), _settle(late=True)),
    Variant(5, "earned", "account", "an account earned one millionth more", _every("account"),
            _cell("account", "earned", 1)),
    Variant(5, "range", "account", "an account's last act goes to the account after it", _ends_early,
            _ruled("activity_end", -1)),
    Variant(5, "range-back", "account", "a range ends before it starts", _turning_back, _turn_back),
    Variant(5, "range-beyond", "account", "a range ends beyond the activities", _every("account"), _beyond),
    Variant(5, "range-short", "account", "the last account leaves the last act out", _last_with_acts,
            _ruled("activity_end", -1)),
    Variant(6, "standing", "account", "a standing is one millionth more", _every("account"),
            _cell("account", "standing", 1)),
    Variant(6, "cumulative-mint", "account", "a cumulative mint is one millionth more", _every("account"),
            _cell("account", "cumulative_mint", 1)),
    Variant(7, "mint", "account", "a mint is one millionth less, where there is one", _above_zero("mint"),
            _cell("account", "mint", -1)),
    Variant(7, "running-mint", "account", "the running sum of mints is less, where there is one",
            _above_zero("mint"), _cell("account", "running_mint", -1)),
    Variant(8, "dropped", "account", "an account of the epoch before, idle in this one, is gone",
            _idle_and_old, _drop),
    Variant(8, "dropped-active", "account", "an account of the epoch before, active in this one, is gone",
            _active_and_old, _drop),
    Variant(8, "invented", "account", "an account that never did anything", _with_room_below, _invent(0, 0)),
    Variant(8, "invented-history", "account", "an account that never was, with standing and credits",
            _with_room_below, _invent(5_000_000, 7_000_000)),
    Variant(9, "total-earned", "account", "the header's total earned", _header, _total("total_earned", 1)),
    Variant(9, "active-count", "account", "the header's active accounts", _header, _total("active_count", 1)),
    Variant(9, "total-mint", "account", "the header's total mint is less, where there is one", _counted_mint,
            _total("total_mint", -1)),
    Variant(9, "length", "account", "the epoch is 1 ms short, where the policy fixes its length",
            _fixed_length, _shorter),
    Variant(9, "activity-root", "activity", "no root over activities, where there are some",
            _some("activity"), _no_root("activity_root")),
    Variant(9, "account-root", "account", "no root over accounts, where there are some", _some("account"),
            _no_root("account_root")),
    Variant(9, "empty-activity-root", "activity", "a root over activities, where there are none",
            _none("activity"), _rootless("activity_root")),
    Variant(9, "empty-account-root", "account", "a root over accounts, where there are none",
            _none("account"), _rootless("account_root")),
    Variant(9, "no-accounts", "account", "activities without accounts, where there are activities",
            _some("activity"), _no_accounts),
    Variant(10, "activity", "activity", "an activity under the root is not the published one",
            _every("activity"), _withhold("activity", "value")),
    Variant(10, "account", "account", "an account under the root is not the published one", _every("account"),
            _withhold("account", "standing")),
    Variant(10, "no-activities-file", "activity", "the file of activities is missing", _header,
            _withhold_file(ACTIVITIES_FILE)),
    Variant(10, "no-accounts-file", "account", "the file of accounts is missing", _header,
            _withhold_file(ACCOUNTS_FILE)),
)  # fmt: skip
