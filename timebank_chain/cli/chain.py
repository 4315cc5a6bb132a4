"""``timebank chain``: deploy the contracts, look at them, verify them, govern them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timebank_chain.cli import (
    chain_bank,
    chain_cancel,
    chain_float,
    chain_pause,
    chain_powers,
    chain_proposals,
    chain_role,
    chain_status,
)
from timebank_chain.cli.chain_float import (
    SPENDING,
    describe_step,
    float_warnings,
    parse_step,
    require_movable,
)
from timebank_chain.cli.deploy_warnings import role_warnings
from timebank_chain.cli.options import (
    DEFAULT_RPC_URL,
    AsJson,
    DeploymentFile,
    DryRun,
    FromAddress,
    Keystore,
    PasswordFile,
    RpcUrl,
    Yes,
    confirm,
    open_connection,
    open_signer,
    open_system,
    progress,
    require_deployment,
    whole_seconds,
)
from timebank_chain.cli.output import print_json, print_table, say
from timebank_chain.cli.writes import format_ether, govern, leave_alone, parse_ether, print_receipt, report
from timebank_chain.errors import CheckFailed, DeploymentError, UsageError
from timebank_chain.units import Q24, format_duration, format_rate

if TYPE_CHECKING:
    from eth_typing import ChecksumAddress

    from timebank_chain.chain.bank_plan import BankPlan
    from timebank_chain.chain.connection import Connection
    from timebank_chain.chain.deployment_plan import DeploymentPlan

app = typer.Typer(
    help="Deploy the contracts, look at them, verify and govern them.\n\nExample: timebank chain status",
    no_args_is_help=True,
)
app.add_typer(chain_bank.app, name="bank")
app.add_typer(chain_role.app, name="role")
app.command("status")(chain_status.command)
app.command("powers")(chain_powers.command)

PolicyName = Annotated[
    str, typer.Option("--policy", metavar="NAME|FILE", help="Valuation policy in force from the start.")
]


@app.command("deploy")
def deploy_command(
    policy: PolicyName,
    signers: Annotated[
        list[str],
        typer.Option("--signer", metavar="ADDRESS", help="Quorum member that signs epochs; repeat it."),
    ],
    threshold: Annotated[int, typer.Option("--threshold", metavar="K", help="Signatures an epoch needs.")],
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    governor: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Changes parameters (default: the deployer).")
    ] = None,
    guardian: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Pauses proposals, borrowing, leasing, trading, ordering (default: the deployer).",
        ),
    ] = None,
    registrar: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Links members (default: the deployer).")
    ] = None,
    canceller: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Drops what the governor scheduled and links that were requested; not what the governor "
            "schedules as administrator, such as changes of roles (default: the deployer).",
        ),
    ] = None,
    bond: Annotated[str, typer.Option(metavar="COIN", help="Bond per proposal, in whole coins.")] = "0.01",
    challenge_window: Annotated[
        str, typer.Option(metavar="TIME", help="Time to object to a proposal: 1h, 1d.")
    ] = "1d",
    governance_delay: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="Wait between scheduling and executing a change; shorter than the window."
        ),
    ] = "12h",
    link_delay: Annotated[
        str, typer.Option(metavar="TIME", help="Time a member has to object to a link.")
    ] = "3d",
    fee_bps: Annotated[int, typer.Option(help="Payment fee, basis points (50 is 0.5 %).")] = 50,
    service_fee_bps: Annotated[
        int, typer.Option(help="Fee on what providers of services get, basis points.")
    ] = 50,
    fee_split: Annotated[
        str, typer.Option(metavar="D/B/R", help="Shares of depositors, bonus pot and reserve, basis points.")
    ] = "4000/4000/2000",
    challenger_share_bps: Annotated[
        int, typer.Option(help="Share of a voided epoch's bond for who found the fault.")
    ] = 5000,
    answer_time: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Time to show a leaf somebody asks for (default: a 48th of the window, a minute where it is "
            "short; at most a 4th).",
        ),
    ] = None,
    request_deposit: Annotated[
        str, typer.Option(metavar="COIN", help="What asking for a leaf costs first; goes to who shows it.")
    ] = "0.0025",
    rate: Annotated[
        int | None,
        typer.Option(
            metavar="Q24", help="Micro-credits per micro-value times 2**24 (default: the policy's)."
        ),
    ] = None,
    float_step: Annotated[
        str | None,
        typer.Option(
            metavar="CREDITS",
            help="Let the rate float: so many credits spent beyond the mint double it (default: fixed).",
        ),
    ] = None,
    policy_uri: Annotated[str, typer.Option(help="Where the policy document is published.")] = "",
    token_name: Annotated[str, typer.Option(help="Name of the credit.")] = "Attention Credit",  # noqa: S107 - the name of a coin
    token_symbol: Annotated[str, typer.Option(help="Symbol of the credit.")] = "ATC",  # noqa: S107 - as above
    contract_uri: Annotated[str, typer.Option(help="Metadata of the credit (ERC-7572).")] = "",
    trade_fee_bps: Annotated[int, typer.Option(help="Fee on credits exchanged, basis points.")] = 30,
    bank: Annotated[
        Path | None,
        typer.Option(
            "--bank",
            metavar="FILE",
            help="Deposits, lending and leasing, as a document (default: timebank examples bank.json).",
        ),
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Deploy everything; run it again to go on after an interruption.

    The manifest goes to --deployment, by default deployments/CHAIN_ID/deployment.json.

    Example: timebank chain deploy --policy git --signer 0x... --threshold 1 --from 0x... --yes
    """
    from timebank_chain.chain.addresses import parse_address
    from timebank_chain.chain.bank_plan import BankPlan, load_bank_plan
    from timebank_chain.chain.deployment import deploy
    from timebank_chain.chain.deployment_plan import DeploymentPlan, FeeSplit, usual_answer_time
    from timebank_chain.valuation.policy import load_policy

    rules = load_policy(policy)
    quorum = [parse_address(one, what="--signer") for one in signers]
    signer = open_signer(keystore, sender, password_file)

    window = whole_seconds(challenge_window, "--challenge-window")

    def holder(text: str | None, what: str) -> ChecksumAddress:
        return parse_address(text, what=what) if text else signer.address

    plan = DeploymentPlan(
        policy=rules,
        policy_uri=policy_uri,
        rate_q24=rules.initial_rate_q24 if rate is None else rate,
        float_step_micro=0 if float_step is None else parse_step(float_step, "--float-step"),
        signers=tuple(quorum),
        threshold=threshold,
        governor=holder(governor, "--governor"),
        guardian=holder(guardian, "--guardian"),
        registrar=holder(registrar, "--registrar"),
        canceller=holder(canceller, "--canceller"),
        bond_wei=parse_ether(bond),
        challenge_window=window,
        challenger_share_bps=challenger_share_bps,
        answer_time=(
            usual_answer_time(window) if answer_time is None else whole_seconds(answer_time, "--answer-time")
        ),
        request_deposit_wei=parse_ether(request_deposit),
        governance_delay=whole_seconds(governance_delay, "--governance-delay"),
        link_delay=whole_seconds(link_delay, "--link-delay"),
        fee_bps=fee_bps,
        trade_fee_bps=trade_fee_bps,
        service_fee_bps=service_fee_bps,
        fee_split=FeeSplit.parse(fee_split),
        token_name=token_name,
        token_symbol=token_symbol,
        contract_uri=contract_uri,
        bank=BankPlan() if bank is None else load_bank_plan(bank),
    )
    require_movable(plan.rate_q24, plan.float_step_micro)
    try:
        plan.check()
    except DeploymentError as error:
        # Every figure of it is an option: a plan that cannot be is wrong usage.
        raise UsageError(error.message, hint=error.hint, where=error.where) from error
    connection = open_connection(rpc_url)
    path = deployment or Path("deployments") / str(connection.chain_id) / "deployment.json"
    fees = zip(SPENDING, (plan.fee_bps, plan.trade_fee_bps, plan.service_fee_bps), strict=True)
    warnings = [
        *float_warnings(plan.float_step_micro, dict(fees), None),
        *role_warnings(plan, signer.address),
    ]
    if not as_json:
        for warning in warnings:
            say(f"warning: {warning}")
    if not as_json or dry_run:
        _show_plan(connection, signer.address, plan, path, warnings, as_json=as_json, dry_run=dry_run)
    if dry_run:
        return
    confirm(f"deploy to chain {connection.chain_id} as {signer.address}?", yes=yes)
    done = deploy(connection, signer, plan, path, progress=progress)
    if as_json:
        body = {"manifest": str(path), "deployment": done.to_json(), "warnings": warnings}
        print_json("timebank.chain.deploy/1", body)
        return
    print_table("Deployed", ["contract", "address"], list(done.addresses().items()))
    say(f"manifest: {path} (give it with --deployment or TIMEBANK_DEPLOYMENT)")


def _show_plan(
    connection: Connection,
    deployer: str,
    plan: DeploymentPlan,
    path: Path,
    warnings: Sequence[str],
    *,
    as_json: bool,
    dry_run: bool,
) -> None:
    balance = connection.balance_wei(deployer)
    if as_json:
        body = {
            "sent": False,
            "chain_id": connection.chain_id,
            "deployer": deployer,
            "deployer_balance_wei": balance,
            "manifest": str(path),
            "parameters": plan.to_json(),
            "warnings": list(warnings),
        }
        print_json("timebank.chain.deploy/1", body)
        return
    rows: list[tuple[str, object]] = [
        ("chain", connection.chain_id),
        ("deployer", deployer),
        ("its balance", f"{format_ether(balance)} coin"),
        ("manifest", path),
    ]
    split = plan.fee_split
    rows += [
        ("policy", f"{plan.policy.name} version {plan.policy.version}"),
        ("", "0x" + plan.policy_hash.hex()),
        ("rate", f"{plan.rate_q24 / Q24:.6f} credits per value"),
        ("its float", describe_step(plan.float_step_micro)),
        ("quorum", f"{plan.threshold} of {len(plan.signers)}"),
        *(("", one) for one in plan.signers),
        ("governor", f"{plan.governor} (delay {_span(plan.governance_delay)})"),
        ("guardian", plan.guardian),
        ("registrar", f"{plan.registrar} (members may object for {_span(plan.link_delay)})"),
        ("canceller", plan.canceller),
        ("bond", f"{format_ether(plan.bond_wei)} coin, {plan.challenger_share_bps} bps to a challenger"),
        ("challenge window", _span(plan.challenge_window)),
        (
            "leaf requests",
            f"from {format_ether(plan.request_deposit_wei)} coin, answered in {_span(plan.answer_time)}",
        ),
        (
            "payment fee",
            f"{plan.fee_bps} bps: {split.depositors_bps} depositors, {split.bonus_bps} bonus pot, "
            f"{split.reserve_bps} reserve (of 10000)",
        ),
        ("service fee", f"{plan.service_fee_bps} bps of what providers get"),
        ("credit", f"{plan.token_name} ({plan.token_symbol})"),
        *_bank_rows(plan.bank),
        ("trades", f"fee {plan.trade_fee_bps} bps of the credits"),
        ("transactions", "15, each written to the manifest before it is sent"),
    ]
    print_table("To be deployed", ["", ""], rows)
    if dry_run:
        say("dry run: nothing was sent")


def _bank_rows(bank: BankPlan) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for number, term in enumerate(bank.terms):
        span = _span(term.duration) if term.duration else "demand"
        rows.append(
            (
                "deposits" if number == 0 else "",
                f"term {number}: {span}, weight {term.multiplier_milli / 1000:g}, "
                f"early exit costs {term.penalty_bps} bps",
            )
        )
    risk = bank.risk
    return [
        *rows,
        ("income", f"fee {bank.income_fee_bps} bps, half released in {_span(bank.release_seconds)}"),
        (
            "lending",
            f"{bank.initial_rate_bps} bps a year at target, {risk.fee_bps} bps of it as fee, "
            f"up to {risk.max_ltv_bps} bps of a receipt",
        ),
        (
            "on standing",
            f"up to {risk.standing_bps} bps of it, due after {_span(risk.standing_term)}, written off "
            f"{_span(risk.grace)} later, {risk.unsecured_cap_bps} bps of the pool at most",
        ),
        ("leases", f"fee {bank.lease_fee_bps} bps of the rent"),
    ]


@app.command("verify")
def verify(
    rpc_url: RpcUrl = DEFAULT_RPC_URL, deployment: DeploymentFile = None, as_json: AsJson = False
) -> None:
    """Compare code, links and roles on chain with the shipped artifacts; exit 3 if anything differs.

    Example: timebank chain verify --deployment deployments/31337/deployment.json
    """
    from timebank_chain.chain.deployment import load_deployment
    from timebank_chain.chain.verification import verify_deployment

    manifest = load_deployment(require_deployment(deployment))
    checks = verify_deployment(open_connection(rpc_url), manifest)
    failed = [check for check in checks if not check.ok]
    if as_json:
        body = [
            {"number": one.number, "name": one.name, "ok": one.ok, "detail": one.detail} for one in checks
        ]
        print_json("timebank.chain.verify/1", {"ok": not failed, "checks": body})
        if failed:
            raise typer.Exit(CheckFailed.exit_code)
        return
    print_table(
        "Deployment",
        [">", "", "check", "found"],
        [(one.number, "ok" if one.ok else "FAILED", one.name, one.detail) for one in checks],
    )
    if failed:
        raise CheckFailed(
            f"{len(failed)} of {len(checks)} checks failed, first: {failed[0].name}: {failed[0].detail}",
            hint="do not use this deployment until you know why",
        )


def _span(seconds: int) -> str:
    return format_duration(seconds * 1000) if seconds else "none"


@app.command("set-policy")
def set_policy(
    policy: Annotated[str, typer.Argument(metavar="NAME|FILE", help="The new policy.")],
    uri: Annotated[str, typer.Option(help="Where the document is published.")] = "",
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Change the policy from the next epoch on: run once to schedule, after the delay to execute.

    A policy that nobody has registered yet is registered first: all of it, readable on chain for ever.

    Example: timebank chain set-policy my-policy.json --from 0x...
    """
    from timebank_chain.chain.policy_reverts import PolicyNotRegistered
    from timebank_chain.valuation.policy import load_policy, policy_call, policy_hash

    timebank = open_system(rpc_url, deployment)
    rules = load_policy(policy)
    digest = policy_hash(rules)
    call = timebank.rate_oracle.set_policy(digest, uri)
    signer = open_signer(keystore, sender, password_file)
    schema = "timebank.chain.set-policy/1"
    facts: dict[str, Any] = {"policy_hash": "0x" + digest.hex(), "registration": None}
    if not timebank.policy_registry.is_registered(digest):
        # Who may not govern is told so before anything is sent; the policy becomes known below.
        with suppress(PolicyNotRegistered):
            timebank.govern(signer, call, dry_run=True)
        registration = timebank.policy_registry.register(policy_call(rules))
        receipt = timebank.send(signer, registration, dry_run=True)
        if dry_run:
            report(receipt, schema=schema, facts={**facts, "state": "unregistered"}, as_json=as_json)
            return
        if not as_json and not yes:
            print_receipt(receipt)
        confirm(f"register {policy} on chain and make it the policy?", yes=yes)
        receipt = timebank.send(signer, registration)
        facts["registration"] = receipt.to_json()
        say(f"registered in block {receipt.block_number}: {policy}")
        yes = True
    govern(
        timebank,
        signer,
        call,
        question=f"make {policy} the policy?",
        schema=schema,
        facts=facts,
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command("set-rate")
def set_rate(
    rate: Annotated[int, typer.Argument(metavar="Q24", help="Micro-credits per micro-value times 2**24.")],
    rpc_url: RpcUrl = DEFAULT_RPC_URL,
    deployment: DeploymentFile = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    sender: FromAddress = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Change the rate from the next epoch on: run once to schedule, after the delay to execute.

    Example: timebank chain set-rate 16777216 --from 0x...
    """
    if not 0 < rate < 1 << 64:
        raise UsageError(f"rate {rate} is not between 1 and 2**64 - 1", hint=f"one to one is {Q24}")
    timebank = open_system(rpc_url, deployment)
    schema = "timebank.chain.set-rate/1"
    if timebank.rate_oracle.rate_q24() == rate:
        # Also where it floats: the same rate again is no new base.
        leave_alone(f"the rate is {format_rate(rate)}", schema=schema, facts={}, as_json=as_json)
        return
    require_movable(rate, timebank.rate_float.floating().step)
    govern(
        timebank,
        open_signer(keystore, sender, password_file),
        timebank.rate_oracle.set_rate(rate),
        question=f"make the rate {format_rate(rate)}?",
        schema=schema,
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


app.command("set-float")(chain_float.command)
app.command("set-quorum")(chain_proposals.set_quorum)
app.command("set-bond")(chain_proposals.set_bond)
app.command("set-window")(chain_proposals.set_window)
app.command("void-epoch")(chain_proposals.void_epoch)
app.command("pause")(chain_pause.pause)
app.command("resume")(chain_pause.resume)
app.command("cancel")(chain_cancel.command)
