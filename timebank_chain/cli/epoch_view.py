"""How an epoch and a receipt look: tables for people, plain values for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from timebank_chain.cli.output import out, print_table
from timebank_chain.units import format_duration, format_micro, format_time

if TYPE_CHECKING:
    from timebank_chain.epoch import PublishedEpoch, Receipt
    from timebank_chain.valuation import Policy

_SHOWN_ACTS = 40


def epoch_document(published: PublishedEpoch, policy: Policy, top: int) -> dict[str, Any]:
    """Return header, policy and the greatest accounts as JSON values; amounts in millionths."""
    from timebank_chain.activity import is_placeholder
    from timebank_chain.chain.addresses import address_text

    leaves = [published.accounts.leaf(index) for index in _greatest(published, top)]
    signatures = published.signatures_folder
    return {
        "header": published.header.to_json(),
        "folder": str(published.folder),
        "signatures": sorted(path.stem for path in signatures.glob("*.json")),
        "policy": {"name": policy.name, "version": policy.version, "title": policy.title},
        "top_accounts": [
            {
                **leaf.to_json(),
                "account": address_text(leaf.account),
                "placeholder": is_placeholder(leaf.account),
            }
            for leaf in leaves
        ],
    }


def header_table(published: PublishedEpoch, policy: Policy) -> None:
    """Print an epoch's header field by field."""
    header = published.header
    length = format_duration(header.end_ms - header.start_ms)
    rows: list[tuple[str, str]] = [
        ("covers", f"{format_time(header.start_ms)} to {format_time(header.end_ms)} ({length})"),
        ("policy", f"{policy.name} version {policy.version}: {policy.title}"),
        ("policy hash", f"0x{header.policy_hash.hex()}"),
        ("activities", f"{header.activity_count:,}  root 0x{header.activity_root.hex()}"),
        ("accounts", f"{header.account_count:,}  root 0x{header.account_root.hex()}"),
        ("active accounts", f"{header.active_count:,}"),
        ("total earned", f"{format_micro(header.total_earned)} value"),
        ("total mint", f"{format_micro(header.total_mint)} credits"),
        ("rate", f"{_rate(header.rate_q24)} credits per value (Q24 {header.rate_q24})"),
        ("bonus pot", f"{format_micro(header.pot)} credits"),
        ("previous header", f"0x{header.previous_header_hash.hex()}"),
        ("data hash", f"0x{header.data_hash.hex()}"),
        ("data URI", header.data_uri or "(none)"),
        ("header hash", f"0x{header.hash().hex()}"),
    ]
    print_table(f"Epoch {header.epoch}", ["field", "value"], rows)


def top_accounts(published: PublishedEpoch, top: int) -> None:
    """Print the accounts with the greatest mint."""
    from timebank_chain.activity import is_placeholder
    from timebank_chain.chain.addresses import address_text

    if not top:
        return
    rows = []
    for index in _greatest(published, top):
        leaf = published.accounts.leaf(index)
        acts = published.accounts.activities_of(index)
        rows.append(
            (
                address_text(leaf.account),
                "placeholder" if is_placeholder(leaf.account) else "wallet",
                acts.stop - acts.start,
                format_micro(leaf.earned),
                format_micro(leaf.standing),
                format_micro(leaf.mint),
                format_micro(leaf.cumulative_mint),
            )
        )
    print_table(
        f"The {len(rows)} accounts with the greatest mint, of {len(published.accounts):,}",
        ["account", "kind", ">acts", ">earned", ">standing", ">mint", ">cumulative"],
        rows,
    )


def activity_table(receipt: Receipt) -> None:
    """Print a receipt's acts: raw indicators, ranks, quality, weight, value."""
    rows = [
        (
            act.index,
            act.domain,
            format_time(act.occurred_ms),
            _three(act.interaction_milli, act.originality_milli, act.engagement_milli),
            _three(act.interaction_rank, act.originality_rank, act.engagement_rank),
            format_micro(act.quality),
            format_micro(act.incentive) + ("" if act.band == "plain" else f" {act.band}"),
            f"{act.weight_q31 / 2**31:.6f}",
            format_micro(act.value),
        )
        for act in receipt.activities[:_SHOWN_ACTS]
    ]
    print_table(
        f"Epoch {receipt.epoch}: {len(receipt.activities)} acts under policy '{receipt.policy}'",
        [
            ">leaf",
            "domain",
            "when",
            "raw I O E",
            "ranks I O E",
            ">quality",
            ">after bands",
            ">weight",
            ">value",
        ],
        rows,
    )
    if len(receipt.activities) > _SHOWN_ACTS:
        out().print(f"... and {len(receipt.activities) - _SHOWN_ACTS:,} more (all of them with --json)")


def print_receipt(receipt: Receipt) -> None:
    """Print how a receipt's values became credits, and that the proof holds."""
    from timebank_chain.chain.addresses import address_text

    rows = [
        ("sum of values", format_micro(receipt.value_sum), "of the acts above"),
        ("earned", format_micro(receipt.earned), "the sum, never below 0"),
    ]
    for number, bracket in enumerate(receipt.brackets, start=1):
        share = f"{bracket.slope_milli / 10:g} %"
        why = f"{share} of {format_micro(bracket.part)} earned from {format_micro(bracket.from_micro)} on"
        rows.append((f"  bracket {number}", format_micro(bracket.counted), why))
    mean = f"mean of {receipt.active_count:,} active accounts {format_micro(receipt.mean_earned)}"
    rows += [
        ("counts", format_micro(receipt.phi), mean),
        ("mint by rate", format_micro(receipt.mint_by_rate), f"{_rate(receipt.rate_q24)} credits per value"),
        ("mint from pot", format_micro(receipt.mint_from_pot), f"share of {format_micro(receipt.pot)}"),
        ("mint", format_micro(receipt.mint), "credits of this epoch"),
        ("cumulative", format_micro(receipt.cumulative_mint), "credits up to this epoch"),
        (
            "standing",
            format_micro(receipt.standing),
            f"{format_micro(receipt.standing_kept)} left of {format_micro(receipt.standing_before)} + earned",
        ),
    ]
    print_table(f"Receipt of {address_text(receipt.account)}", ["what", ">amount", "why"], rows)
    leaf = receipt.proof.leaf
    out().print(
        f"proof: leaf {leaf.index} with {len(receipt.proof.siblings)} siblings is under the account root "
        f"0x{receipt.proof.root.hex()} of header 0x{receipt.proof.header.hash().hex()}"
    )


def _greatest(published: PublishedEpoch, top: int) -> list[int]:
    import numpy as np

    order = np.argsort(-published.accounts.mint, kind="stable")
    return [int(index) for index in order[:top]]


def _three(first: int, second: int, third: int) -> str:
    return " ".join(f"{number / 1000:g}" for number in (first, second, third))


def _rate(rate_q24: int) -> str:
    return f"{rate_q24 / 2**24:g}"
