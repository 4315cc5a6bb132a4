"""``timebank policy rehearse``: what past epochs would have been under another policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    AsJson,
    DeploymentFile,
    EpochsFolder,
    RpcUrl,
    open_system,
    progress,
    require_epochs,
)
from timebank_chain.cli.output import out, print_json, print_table
from timebank_chain.errors import UsageError
from timebank_chain.units import format_micro, format_rate
from timebank_chain.valuation.policy import load_policy, policy_hash

if TYPE_CHECKING:
    from timebank_chain.epoch import PublishedEpoch
    from timebank_chain.epoch.rehearse import Rehearsal
    from timebank_chain.valuation.inequality import Inequality

_NONE = "-"


def command(
    rules: Annotated[
        str, typer.Option("--with", metavar="NAME|FILE", help="The policy to rehearse.", show_default=False)
    ],
    first: Annotated[int, typer.Option("--from", metavar="EPOCH", help="First epoch it is in force in.")] = 1,
    last: Annotated[
        int | None, typer.Option("--to", metavar="EPOCH", help="Last one (default: the newest published).")
    ] = None,
    top: Annotated[int, typer.Option("--top", metavar="N", help="So many winners and losers.")] = 5,
    epochs: EpochsFolder = None,
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    as_json: AsJson = False,
) -> None:
    """Run a changed policy over past epochs, with the code that mints: winners, losers, Gini, mint and fees.

    Acts, rates and pots are those of the published epochs; under the policy they were valued by, everything
    comes out bit for bit. A rehearsal keeps the recorded rates: where the rate floats, another mint would
    have moved those of later epochs too; and the policy's initial rate counts for nothing, because it is only
    where a new deployment begins. With a deployment the epochs must be the final ones on chain, and
    fees are estimated: as if everybody spent the same part of what they are credited.

    Example: timebank policy rehearse --with new.json --epochs epochs

    Example: timebank policy rehearse --with new.json --from 3 --deployment deployment.json --json
    """
    from timebank_chain.epoch.rehearse import rehearse

    folder = require_epochs(epochs)
    if top < 0:
        raise UsageError(f"--top is {top}", hint="use 0 or more")
    policy = load_policy(rules)
    read, fees, floats = None, None, None
    if deployment is not None:
        from timebank_chain.chain.distribution import read_fees
        from timebank_chain.chain.final_epochs import read_final_epoch

        timebank = open_system(rpc_url, deployment)

        def read(number: int) -> PublishedEpoch:
            return read_final_epoch(timebank, folder, number)

        fees = read_fees(timebank)
        floats = timebank.rate_float.floating().step > 0
    found = rehearse(folder, policy, first=first, last=last, read=read, progress=progress)
    paid = None
    if fees is not None:
        names = _addresses(found, range(len(found.accounts)))
        then, now = (dict(zip(names, column.tolist(), strict=True)) for column in found.mint)
        paid = fees.total, fees.scaled(then, now)
    if as_json:
        print_json("timebank.policy.rehearse/1", _document(found, paid, floats, top))
        return
    _print(found, paid, floats, top)


def _addresses(found: Rehearsal, rows: Any) -> list[str]:
    from timebank_chain.chain.addresses import address_text

    return [address_text(found.accounts[row].tobytes()) for row in rows]


def _moved(found: Rehearsal, top: int, *, up: bool) -> list[dict[str, Any]]:
    rows = found.most_moved(top, up=up)
    return [
        {
            "account": name,
            "mint_micro": int(found.mint[0][row]),
            "rehearsed_micro": int(found.mint[1][row]),
            "difference_micro": int(found.difference[row]),
        }
        for row, name in zip(rows, _addresses(found, rows), strict=True)
    ]


def _pair(pair: tuple[Inequality | None, Inequality | None]) -> dict[str, Any]:
    def gini(one: Inequality | None) -> dict[str, Any] | None:
        return None if one is None else {"exact": str(one.gini), "value": float(one.gini)}

    return {"gini": gini(pair[0]), "rehearsed_gini": gini(pair[1])}


def _document(
    found: Rehearsal, paid: tuple[int, int] | None, floats: bool | None, top: int
) -> dict[str, Any]:
    return {
        "policy": {
            "name": found.policy.name,
            "version": found.policy.version,
            "policy_hash": "0x" + policy_hash(found.policy).hex(),
        },
        "identical": found.identical,
        "rates": "recorded",
        "rate_floats": floats,
        "initial_rate": {
            "published_q24": found.own_policy.initial_rate_q24,
            "rehearsed_q24": found.policy.initial_rate_q24,
            "applied": False,
            "note": _initial_rate_note(found),
        },
        "accounts": len(found.accounts),
        "winners": found.winners,
        "losers": found.losers,
        "gained_micro": found.gained,
        "lost_micro": found.lost,
        "mint_micro": sum(one.mint[0] for one in found.epochs),
        "rehearsed_mint_micro": sum(one.mint[1] for one in found.epochs),
        "mint": _pair(found.mint_inequality),
        "standing": _pair(found.standing_inequality),
        "fees": None if paid is None else {"paid_micro": paid[0], "estimated_micro": paid[1]},
        "top_winners": _moved(found, top, up=True),
        "top_losers": _moved(found, top, up=False),
        "epochs": [
            {
                "epoch": one.epoch,
                "identical": one.identical,
                "earned_micro": one.earned[0],
                "rehearsed_earned_micro": one.earned[1],
                "active": one.active[0],
                "rehearsed_active": one.active[1],
                "mint_micro": one.mint[0],
                "rehearsed_mint_micro": one.mint[1],
                **_pair(one.mint_inequality),
            }
            for one in found.epochs
        ],
    }


def _print(found: Rehearsal, paid: tuple[int, int] | None, floats: bool | None, top: int) -> None:
    first, last = found.epochs[0].epoch, found.epochs[-1].epoch
    print_table(
        f"'{found.policy.name}' version {found.policy.version} over epochs {first} to {last}",
        ["epoch", ">minted", ">rehearsed", ">difference", ">Gini", ">rehearsed Gini", ""],
        [
            (
                one.epoch,
                format_micro(one.mint[0]),
                format_micro(one.mint[1]),
                _signed(one.mint[1] - one.mint[0]),
                *(_gini(side) for side in one.mint_inequality),
                "bit for bit the same" if one.identical else "",
            )
            for one in found.epochs
        ],
    )
    mint = [sum(one.mint[side] for one in found.epochs) for side in (0, 1)]
    rows = [
        ("mint, credits", *map(format_micro, mint), _signed(mint[1] - mint[0])),
        ("Gini of the mint", *_ginis(found.mint_inequality)),
        ("Gini of the standings", *_ginis(found.standing_inequality)),
    ]
    if paid is not None:
        rows.append(("fees paid, credits", *map(format_micro, paid), f"~{_signed(paid[1] - paid[0])}"))
    print_table("Together", ["", ">as it is", ">rehearsed", ">difference"], rows)
    unchanged = len(found.accounts) - found.winners - found.losers
    out().print(
        f"{found.winners:,} accounts win {format_micro(found.gained)}, {found.losers:,} lose "
        f"{format_micro(found.lost)}, {unchanged:,} get the same",
        markup=False,
    )
    for title, up in (("Who would win most", True), ("Who would lose most", False)):
        moved = _moved(found, top, up=up)
        if moved:
            print_table(
                title,
                ["account", ">minted", ">rehearsed", ">difference"],
                [
                    (
                        one["account"],
                        format_micro(one["mint_micro"]),
                        format_micro(one["rehearsed_micro"]),
                        _signed(one["difference_micro"]),
                    )
                    for one in moved
                ],
            )
    if not found.identical and floats is not False:
        here = "the rate floats here:" if floats else "if the rate floats,"
        out().print(
            f"rates are the recorded ones; {here} another mint would have moved those of later epochs too",
            markup=False,
        )
    note = _initial_rate_note(found)
    if note is not None:
        out().print(f"note: {note}", markup=False)
    if found.identical:
        out().print("every leaf, root and total is the published one, bit for bit")
    if paid is not None:
        out().print("~ fees: as if everybody spent the same part of what they are credited", markup=False)


def _initial_rate_note(found: Rehearsal) -> str | None:
    """Return why a changed initial rate changed nothing, ``None`` if it is the one the policy has today."""
    if not found.other_initial_rate:
        return None
    return (
        f"the initial rate {format_rate(found.policy.initial_rate_q24)} of the rehearsed policy (today's: "
        f"{format_rate(found.own_policy.initial_rate_q24)}) changes nothing here: epochs are valued at the "
        f"rate in force on the chain (epoch {found.epochs[-1].epoch}: {format_rate(found.rate_q24)}), and "
        "only a new deployment begins with its policy's; to change the rate in force: timebank chain set-rate"
    )


def _signed(amount: int) -> str:
    return ("+" if amount > 0 else "") + format_micro(amount)


def _gini(one: Inequality | None) -> str:
    return _NONE if one is None else f"{float(one.gini):.6f}"


def _ginis(pair: tuple[Inequality | None, Inequality | None]) -> tuple[str, str, str]:
    then, now = pair
    change = _NONE if then is None or now is None else f"{float(now.gini - then.gini):+.6f}"
    return _gini(then), _gini(now), change
