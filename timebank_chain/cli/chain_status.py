"""``timebank chain status``: what the contracts say of themselves, all at one block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from timebank_chain.cli.chain_float import describe_step
from timebank_chain.cli.options import DEFAULT_RPC_URL, AsJson, DeploymentFile, RpcUrl, open_system
from timebank_chain.cli.output import print_json, print_table
from timebank_chain.cli.pending_view import pending_body, pending_rows
from timebank_chain.cli.writes import format_ether
from timebank_chain.spec import floating_rate
from timebank_chain.spec.floating_rate import MAX_DOUBLINGS
from timebank_chain.units import Q24, format_duration, format_micro, format_rate, format_time

if TYPE_CHECKING:
    from timebank_chain.chain.rate_float import Floating
    from timebank_chain.chain.system import Timebank


def command(
    rpc_url: RpcUrl = DEFAULT_RPC_URL, deployment: DeploymentFile = None, as_json: AsJson = False
) -> None:
    """Show epoch, supply, fees, pauses, closed contracts, quorum, policy, rate and roles, all at one block.

    Example: timebank chain status --deployment deployments/31337/deployment.json
    """
    timebank = open_system(rpc_url, deployment)
    facts = _status(timebank)
    if as_json:
        print_json("timebank.chain.status/1", facts)
        return
    pending = facts["pending"]
    waiting = "none"
    if pending:
        ends = format_time(pending["challenge_ends_at"] * 1000)
        waiting = f"epoch {pending['epoch']} by {pending['proposer']}, challenge window until {ends}"
    fees = facts["fee_pool"]
    oracle, requests = facts["oracle"], facts["leaf_requests"]
    print_table(
        f"Chain {facts['chain_id']}, block {facts['block']}, {format_time(facts['time'] * 1000)}",
        ["", ""],
        [
            ("latest epoch", facts["latest_epoch"] or "none yet"),
            ("ends", format_time(facts["latest_end_ms"]) if facts["latest_epoch"] else ""),
            ("proposed", waiting + (" (proposals are paused)" if oracle["paused"] else "")),
            *([("its header", pending["header_hash"]), *pending_rows(pending)] if pending else []),
            ("supply", format_micro(facts["supply_micro"])),
            ("fee pool", f"depositors {format_micro(fees['depositors_micro'])}"),
            ("", f"bonus pot {format_micro(fees['bonus_micro'])}"),
            ("", f"reserve {format_micro(fees['reserve_micro'])}"),
            ("payment fee", f"{facts['fee_bps']} basis points"),
            ("trade fee", f"{facts['trade_fee_bps']} basis points"),
            ("service fee", f"{facts['service_fee_bps']} basis points"),
            ("paused", ", ".join(name for name, stopped in facts["paused"].items() if stopped) or "nothing"),
            ("closed", ", ".join(facts["closed"]) or "nothing"),
            ("policy", facts["policy_hash"]),
            ("rate", f"{oracle['rate_q24'] / Q24:.6f} credits per value (Q24 {oracle['rate_q24']})"),
            *_float_rows(facts["float"]),
            ("quorum", f"{oracle['threshold']} of {len(oracle['signers'])}"),
            *(("", one) for one in oracle["signers"]),
            ("bond", f"{format_ether(oracle['bond_wei'])} coin"),
            ("challenge window", format_duration(oracle["challenge_window"] * 1000)),
            (
                "leaf requests",
                f"from {format_ether(requests['deposit_wei'])} coin, shown within "
                f"{format_duration(requests['answer_time'] * 1000)}",
            ),
            *((role, _members(holders)) for role, holders in facts["roles"].items()),
        ],
    )


def _float_rows(facts: dict[str, Any]) -> list[tuple[str, object]]:
    step = facts["step_micro"]
    if not step:
        return [("its float", describe_step(step))]
    least, most = (format_rate(facts[name]) for name in ("lowest_rate_q24", "highest_rate_q24"))
    ahead = f"within {format_micro(MAX_DOUBLINGS * step)} of 0"
    return [
        ("its float", describe_step(step)),
        ("", f"base {format_rate(facts['base_rate_q24'])}, from {least} to {most}"),
        (
            "",
            f"excess {format_micro(facts['excess_micro'])}, {ahead}, moving by at most "
            f"{format_micro(facts['max_move_micro'])} an epoch",
        ),
        ("", f"spent since the last epoch {format_micro(facts['demand_micro'])}"),
    ]


def _float_document(floating: Floating, spent: int) -> dict[str, Any]:
    """Return how the rate floats as JSON values; what only a floating rate has is null while it is fixed."""
    base, step = floating.base_rate_q24, floating.step
    least, most = (
        floating_rate.rate(base, side * MAX_DOUBLINGS * step, step) if step else None for side in (-1, 1)
    )
    if step and base < floating_rate.MIN_RATE_Q24:
        least = most = floating.base_rate_q24  # so small a rate stays as it is
    return {
        "floats": step > 0,
        "step_micro": step,
        "base_rate_q24": base,
        "excess_micro": floating.excess,
        "demand_micro": spent - floating.spent_at_last,
        "lowest_rate_q24": least,
        "highest_rate_q24": most,
        "max_move_micro": floating_rate.max_move(step) if step else None,
    }


def _members(holders: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{one['account']} ({format_duration(one['delay'] * 1000) if one['delay'] else 'no'} delay)"
        for one in holders
    )


def _status(timebank: Timebank) -> dict[str, Any]:
    from timebank_chain.chain.access_manager import ROLE_NAMES
    from timebank_chain.chain.role_members import role_members

    connection = timebank.connection
    block = connection.block_number()
    oracle, pool = timebank.rate_oracle, timebank.fee_pool.accounts(block=block)
    floating = timebank.rate_float.floating(block=block)
    roles = {
        ROLE_NAMES.get(role, str(role)): [{"account": one.account, "delay": one.delay} for one in members]
        for role, members in sorted(role_members(timebank, block=block).items())
        if members
    }
    return {
        "chain_id": connection.chain_id,
        "block": block,
        "time": int(connection.w3.eth.get_block(block)["timestamp"]),
        "latest_epoch": oracle.latest_epoch(block=block),
        "latest_end_ms": oracle.latest_end_ms(block=block),
        "latest_header_hash": "0x" + oracle.latest_header_hash(block=block).hex(),
        "pending": pending_body(timebank, oracle.pending(block=block), block=block),
        "supply_micro": timebank.attention_credit.total_supply(block=block),
        "fee_pool": {
            "depositors_micro": pool.depositors,
            "bonus_micro": pool.bonus,
            "reserve_micro": pool.reserve,
        },
        "fee_bps": timebank.credit_payments.fee_bps(block=block),
        "trade_fee_bps": timebank.credit_exchange.trade_fee_bps(block=block),
        "service_fee_bps": timebank.service_escrow.service_fee_bps(block=block),
        "paused": {
            "proposals": oracle.proposals_paused(block=block),
            "borrowing": timebank.credit_lending.books(block=block).paused,
            "leasing": timebank.credit_lease.leasing_paused(block=block),
            "trading": timebank.credit_exchange.trading_paused(block=block),
            "ordering": timebank.service_escrow.ordering_paused(block=block),
        },
        "closed": [
            name
            for name, address in timebank.addresses().items()
            if timebank.access_manager.is_closed(address, block=block)
        ],
        "policy_hash": "0x" + oracle.policy_hash(block=block).hex(),
        "oracle": {
            "rate_q24": oracle.rate_q24(block=block),
            "signers": oracle.signers(block=block),
            "threshold": oracle.threshold(block=block),
            "bond_wei": oracle.bond_wei(block=block),
            "challenge_window": oracle.challenge_window(block=block),
            "challenger_share_bps": oracle.challenger_share_bps(block=block),
            "paused": oracle.proposals_paused(block=block),
        },
        "float": _float_document(floating, timebank.fee_pool.spent(block=block)),
        "leaf_requests": {
            "answer_time": timebank.leaf_requests.answer_time(),
            "deposit_wei": timebank.leaf_requests.request_deposit_wei(),
        },
        "roles": roles,
        "contracts": dict(timebank.addresses()),
    }
