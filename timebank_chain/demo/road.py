"""The walk from recorded acts to spent credits and an audit: real files, real contracts, real signatures.

Nothing here is a shortcut: epochs are built, published and read back, the quorum's signature files are
collected and checked, the contracts are called through the same clients as everywhere else.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address

from timebank_chain.activity import ActivityTable, Members, placeholder_address, write_activity, write_rejects
from timebank_chain.audit import run_audit
from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.credit_payments import memo_hash
from timebank_chain.chain.deployment import deploy
from timebank_chain.chain.deployment_plan import DeploymentPlan, FeeSplit, usual_answer_time
from timebank_chain.chain.signer import LocalSigner
from timebank_chain.chain.system import Timebank, open_timebank
from timebank_chain.chain.transactions import Call, send
from timebank_chain.content import ContentStore
from timebank_chain.demo.bank import BankChapter
from timebank_chain.demo.floating import FloatingValue
from timebank_chain.demo.history import History, Schedule
from timebank_chain.demo.services import ServiceChapter
from timebank_chain.demo.story import EpochStory, MemberStory, Movement, Story
from timebank_chain.epoch import EpochBuild, PublishedEpoch, account_proof, build_epoch, publish
from timebank_chain.epoch.receipts import receipt
from timebank_chain.errors import ConnectionFailed, EpochError
from timebank_chain.oracle.claims import claim_call, ranges
from timebank_chain.oracle.propose import finalise_call, propose_call
from timebank_chain.oracle.sign import collect_signatures, sign_header, write_signature
from timebank_chain.oracle.state import read_state
from timebank_chain.units import format_micro

Progress = Callable[[str], None]

#: How many of the busiest members get a wallet; the rest earn under placeholder addresses.
WALLETS = 8
QUORUM, THRESHOLD = 3, 2
FEE_BPS = 50
#: Where time can be moved the windows are long and skipped; elsewhere they are short and waited for.
LONG_SECONDS, SHORT_SECONDS = 3_600, 6
FUNDS_WEI = 10**18
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class DemoOptions:
    """What a run needs: where to write, and whom to tell."""

    folder: Path
    progress: Progress


@dataclass
class _Cast:
    """Who takes part; fresh keys in memory for every run."""

    deployer: LocalSigner
    operator: LocalSigner
    governor: LocalSigner
    guardian: LocalSigner
    registrar: LocalSigner
    canceller: LocalSigner
    quorum: list[LocalSigner]
    newcomer: LocalSigner
    merchant: LocalSigner
    wallets: dict[str, LocalSigner] = field(default_factory=dict)
    later: str | None = None


def run_demo(connection: Connection, history: History, schedule: Schedule, options: DemoOptions) -> Story:
    """Walk the whole road; the story ends with the audit's report.

    Parameters
    ----------
    connection
        The embedded chain, or a development node that holds funded accounts.
    history, schedule
        What to value, and when its epochs end.

    Raises
    ------
    ConnectionFailed
        If the node has no funded account to pay with.
    EpochError
        If nobody earned anything, so that there is nothing to show.
    """
    tell = options.progress
    cleaned = history.cleaned
    story = Story(
        kind=history.kind,
        place=str(history.place),
        read=cleaned.read,
        kept=len(cleaned.table),
        rejected=cleaned.reasons(),
        policy=schedule.policy,
        folder=options.folder,
        chain_id=connection.chain_id,
    )
    write_activity(cleaned.table, options.folder / "activity.parquet")
    write_rejects(options.folder / "rejects.csv", cleaned.rejects)

    cast = _cast(history)
    members = Members({name: address_bytes(signer.address) for name, signer in cast.wallets.items()})
    _write_members(options.folder / "members.csv", cast)
    tell(f"{len(cast.wallets)} members have a wallet, the others earn under placeholder addresses")

    connection.catch_up()
    _fund(connection, cast)
    timebank = _deploy(connection, cast, schedule, options)
    story.contracts = dict(timebank.addresses())

    chapter = BankChapter(
        timebank=timebank,
        policy=schedule.policy,
        wallets={**cast.wallets, "a newcomer": cast.newcomer, "a merchant": cast.merchant},
        anybody=cast.operator,
        advance=connection.advance_time if connection.can_advance_time() else None,
        tell=tell,
        scenes=story.bank,
    )
    value = FloatingValue(
        timebank=timebank,
        governor=cast.governor,
        wait=lambda moment: _wait_until(connection, moment, "the governor's delay", tell),
        tell=tell,
        moves=story.rates,
    )
    busy = _busy(cast, cleaned.table, schedule)
    published: PublishedEpoch | None = None
    for number, end_ms in enumerate(schedule.ends_ms, start=1):
        build = build_epoch(
            cleaned.table,
            members,
            schedule.policy,
            start_ms=schedule.start_ms if published is None else published.header.end_ms,
            end_ms=end_ms,
            previous=published,
            rate_q24=timebank.rate_oracle.rate_q24(),
            pot=timebank.fee_pool.bonus(),
        )
        published = _run_epoch(timebank, cast, build, story, options, chapter, value)
        if number < len(schedule.ends_ms):
            if number == 1:
                value.open(published.header.total_mint)
            # The fees of these payments become the next epoch's bonus pot.
            story.movements.extend(_spend(timebank, cast, tell))
            if number == 1:
                chapter.open(busy[1])
            if number == len(schedule.ends_ms) - 1:
                chapter.act(published, busy[-1])
    assert published is not None  # noqa: S101 - a schedule has at least one epoch
    if len(schedule.ends_ms) == 1:
        story.movements.extend(_spend(timebank, cast, tell))

    story.linked = _link(timebank, cast, published, tell)
    ServiceChapter(
        timebank=timebank,
        content=ContentStore(options.folder / "content"),
        wallets={**cast.wallets, "a newcomer": cast.newcomer, "a merchant": cast.merchant},
        arbiter=cast.guardian.address,
        anybody=cast.operator,
        advance=connection.advance_time if connection.can_advance_time() else None,
        tell=tell,
        scenes=story.services,
    ).act()
    value.close()
    _look_around(timebank, cast, published, story)
    previous = None
    if published.number > 1:
        from timebank_chain.epoch import read_epoch

        previous = read_epoch(options.folder / "epochs", published.number - 1)
    story.receipt_member, account = _receipt_of(cast, published, cleaned.table.member)
    story.receipt = receipt(published, previous, schedule.policy, account)
    tell("Auditing from the chain and the epoch files alone")
    story.audit = run_audit(
        connection,
        timebank.deployment,
        options.folder / "epochs",
        deployment_file=options.folder / "deployment.json",
        activity=options.folder / "activity.parquet",
    )
    return story


def _cast(history: History) -> _Cast:
    def fresh() -> LocalSigner:
        return LocalSigner(secrets.token_bytes(32))

    cast = _Cast(
        deployer=fresh(),
        operator=fresh(),
        governor=fresh(),
        guardian=fresh(),
        registrar=fresh(),
        canceller=fresh(),
        quorum=[fresh() for _ in range(QUORUM)],
        newcomer=fresh(),
        merchant=fresh(),
    )
    counts = Counter(history.cleaned.table.member)
    busiest = sorted(counts, key=lambda member: (-counts[member], member))
    cast.wallets = {member: fresh() for member in busiest[:WALLETS]}
    cast.later = busiest[WALLETS] if len(busiest) > WALLETS else None
    if cast.later is None and len(busiest) > 1:
        # A small community: its least busy member shows how a wallet comes later.
        cast.later = busiest[-1]
        del cast.wallets[busiest[-1]]
    return cast


def _write_members(path: Path, cast: _Cast) -> None:
    import csv

    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("member", "address"))
        writer.writerows((member, signer.address) for member, signer in cast.wallets.items())


def _fund(connection: Connection, cast: _Cast) -> None:
    """Give everybody who sends something coins for gas, from the development chain's own accounts."""
    senders = [cast.deployer, cast.operator, cast.governor, cast.registrar, cast.newcomer, cast.merchant]
    senders += cast.wallets.values()
    keys = connection.development_keys()
    if keys:
        rich = LocalSigner(keys[0])
        for signer in senders:
            send(connection, rich, _gift(signer.address))
        return
    accounts = connection.w3.eth.accounts
    if not accounts:
        raise ConnectionFailed(
            "the node holds no funded account the demo could pay with",
            hint="use the embedded chain (leave --rpc-url out) or a development node such as anvil",
        )
    for signer in senders:
        sent = connection.w3.eth.send_transaction(
            {"from": accounts[0], "to": signer.address, "value": FUNDS_WEI}  # type: ignore[typeddict-item]  # wei are plain integers here
        )
        connection.w3.eth.wait_for_transaction_receipt(sent)


def _gift(to: ChecksumAddress) -> Call:
    return Call(contract="account", function="transfer", target=to, data=b"", value=FUNDS_WEI)


def _deploy(connection: Connection, cast: _Cast, schedule: Schedule, options: DemoOptions) -> Timebank:
    seconds = LONG_SECONDS if connection.can_advance_time() else SHORT_SECONDS
    plan = DeploymentPlan(
        policy=schedule.policy,
        rate_q24=schedule.policy.initial_rate_q24,
        signers=tuple(signer.address for signer in cast.quorum),
        threshold=THRESHOLD,
        governor=cast.governor.address,
        guardian=cast.guardian.address,
        registrar=cast.registrar.address,
        canceller=cast.canceller.address,
        challenge_window=seconds,
        answer_time=usual_answer_time(seconds),
        governance_delay=seconds // 2,
        link_delay=seconds,
        fee_bps=FEE_BPS,
        fee_split=FeeSplit(depositors_bps=4_000, bonus_bps=4_000),
    )
    options.progress(f"Deploying the contracts on chain {connection.chain_id}")
    deployment = deploy(
        connection,
        cast.deployer,
        plan,
        options.folder / "deployment.json",
        progress=lambda text: options.progress("  " + text),
    )
    return open_timebank(connection, deployment)


def _run_epoch(
    timebank: Timebank,
    cast: _Cast,
    build: EpochBuild,
    story: Story,
    options: DemoOptions,
    chapter: BankChapter,
    value: FloatingValue,
) -> PublishedEpoch:
    tell = options.progress
    header = build.header
    tell(
        f"Epoch {header.epoch}: {header.activity_count:,} acts, {header.active_count:,} of "
        f"{header.account_count:,} accounts earned, {format_micro(header.total_mint)} credits"
    )
    published = publish(build, options.folder / "epochs")
    chain_id, oracle = timebank.connection.chain_id, address_bytes(timebank.addresses()["RateOracle"])
    for signer in cast.quorum[:THRESHOLD]:
        write_signature(published.folder, sign_header(header, signer, chain_id, oracle))
    operator = cast.operator
    state = read_state(timebank, operator.address)
    collected = collect_signatures(
        published.folder,
        header,
        chain_id=chain_id,
        oracle_address=oracle,
        quorum=state.quorum,
        threshold=state.threshold,
    )
    proposed = timebank.send(operator, propose_call(timebank, state, header, collected.require(header)))
    tell(f"  signed by {THRESHOLD} of {QUORUM}, proposed with a bond ({proposed.gas_used:,} gas)")
    pending = timebank.rate_oracle.pending()
    assert pending is not None  # noqa: S101 - the proposal above was mined
    _wait_until(timebank.connection, pending.challenge_ends_at, "the challenge window", tell)
    finalised = timebank.send(
        operator, finalise_call(timebank, read_state(timebank, operator.address), header)
    )
    value.finalised(finalised, header.rate_q24)
    gas, before = 0, timebank.attention_credit.total_supply()
    mine = {address_bytes(signer.address) for signer in cast.wallets.values()}
    indices = [
        index
        for index, account in enumerate(published.accounts.account)
        if account.tobytes() in mine
        and int(published.accounts.cumulative_mint[index])
        > timebank.credit_distributor.claimed(to_checksum_address(account.tobytes()))
    ]
    for part in ranges(indices):
        pushed = timebank.send(operator, claim_call(timebank, published, part))
        gas += pushed.gas_used
        chapter.claimed(pushed)
    claimed = timebank.attention_credit.total_supply() - before
    unclaimed = header.total_mint - claimed
    tell(
        f"  final; pushed {len(indices)} claims for {format_micro(claimed)} credits, "
        f"{format_micro(max(0, unclaimed))} wait for members without a wallet"
    )
    story.epochs.append(
        EpochStory(published, len(indices), claimed, unclaimed, proposed.gas_used, finalised.gas_used, gas)
    )
    return published


def _busy(cast: _Cast, table: ActivityTable, schedule: Schedule) -> list[list[str]]:
    """For each epoch, the members with wallets who have settled acts in it, the busiest first."""
    settled = table.occurred_ms + table.window_ms
    found, start = [], schedule.start_ms
    for end in schedule.ends_ms:
        acts = Counter(
            table.member[index]
            for index in ((settled > start) & (settled <= end)).nonzero()[0]
            if table.member[index] in cast.wallets
        )
        found.append(sorted(acts, key=lambda member: (-acts[member], member)))
        start = end
    return found


def _wait_until(connection: Connection, moment: int, what: str, tell: Progress) -> None:
    """Let the chain's clock reach ``moment`` (Unix seconds), the end of ``what``."""
    if connection.can_advance_time():
        tell(f"  moving the development chain's clock past {what}")
        # One second more: calls are simulated on the newest block, which lies before the next one.
        connection.advance_time(max(1, moment + 1 - connection.timestamp()))
        return
    tell(f"  waiting for the end of {what} ({max(0, moment - connection.timestamp())} s)")
    while time.time() < moment and connection.timestamp() < moment:
        time.sleep(_POLL_SECONDS)


def _spend(timebank: Timebank, cast: _Cast, tell: Progress) -> list[Movement]:
    """Let the richest member send credits to a newcomer and pay a merchant."""
    credit = timebank.attention_credit
    balances = {member: credit.balance_of(signer.address) for member, signer in cast.wallets.items()}
    member = max(balances, key=lambda name: (balances[name], name), default=None)
    if member is None or balances[member] < 1_000:
        tell("  nobody holds credits to spend yet")
        return []
    payer = cast.wallets[member]
    gift, price = balances[member] // 10, balances[member] // 5
    sent = timebank.send(payer, credit.transfer(cast.newcomer.address, gift))
    tell(f"  {member} sent {format_micro(gift)} credits to a newcomer ({sent.gas_used:,} gas)")
    memo = f"thank you, from {member}"
    quote = timebank.credit_payments.quote(price)
    permit = credit.sign_permit(
        payer, timebank.addresses()["CreditPayments"], price, timebank.connection.timestamp() + 86_400
    )
    paid = timebank.send(
        payer,
        timebank.credit_payments.pay_with_permit(cast.merchant.address, price, memo_hash(memo), permit),
    )
    tell(
        f"  {member} paid {format_micro(price)} credits to a merchant, {format_micro(quote.fee)} of it "
        f"as fee ({paid.gas_used:,} gas)"
    )
    return [
        Movement("transfer", payer.address, cast.newcomer.address, gift, 0, "", sent.gas_used),
        Movement("payment", payer.address, cast.merchant.address, price, quote.fee, memo, paid.gas_used),
    ]


def _link(
    timebank: Timebank, cast: _Cast, published: PublishedEpoch, tell: Progress
) -> tuple[str, str, str, int] | None:
    """Link a placeholder to a wallet, with the delay in which its member could object, and claim."""
    if cast.later is None:
        return None
    account = placeholder_address(cast.later)
    try:
        proof = account_proof(published, account)
    except EpochError:
        return None
    placeholder, wallet = to_checksum_address(account), cast.newcomer.address
    tell(f"Linking {cast.later} ({placeholder}) to a wallet, after the delay to object")
    timebank.send(cast.registrar, timebank.member_registry.request_link(placeholder, wallet))
    link = timebank.member_registry.requested_link(placeholder)
    assert link is not None  # noqa: S101 - the request above was mined
    _wait_until(timebank.connection, link.effective_at, "the time to object", tell)
    timebank.send(cast.newcomer, timebank.member_registry.confirm_link(placeholder))
    granted = proof.leaf.cumulative_mint
    if granted:
        timebank.send(cast.newcomer, timebank.credit_distributor.claim(proof.leaf, proof.siblings))
    tell(f"  {format_micro(granted)} credits earned before are now in that wallet")
    return cast.later, placeholder, wallet, granted


def _look_around(timebank: Timebank, cast: _Cast, published: PublishedEpoch, story: Story) -> None:
    accounts = published.accounts
    for member, signer in cast.wallets.items():
        index = accounts.find(address_bytes(signer.address))
        story.members.append(
            MemberStory(
                member=member,
                address=signer.address,
                granted_micro=0 if index is None else int(accounts.cumulative_mint[index]),
                balance_micro=timebank.attention_credit.balance_of(signer.address),
                standing_micro=0 if index is None else int(accounts.standing[index]),
            )
        )
    story.members.sort(key=lambda member: -member.granted_micro)
    story.supply_micro = timebank.attention_credit.total_supply()


def _receipt_of(cast: _Cast, published: PublishedEpoch, names: Sequence[str]) -> tuple[str, bytes]:
    """Choose whose receipt to show: who was granted most in the last epoch, wallets first."""
    accounts = published.accounts
    best = int(accounts.mint.argmax()) if len(accounts) else None
    if best is None:
        raise EpochError("the epochs hold no account", hint="choose a longer history")
    granted = {
        member: int(accounts.mint[index])
        for member, signer in cast.wallets.items()
        if (index := accounts.find(address_bytes(signer.address))) is not None
    }
    if granted and max(granted.values()) > 0:
        member = max(granted, key=lambda name: (granted[name], name))
        return member, address_bytes(cast.wallets[member].address)
    account = accounts.account[best].tobytes()
    by_placeholder = {placeholder_address(name): name for name in set(names)}
    return by_placeholder.get(account, to_checksum_address(account)), account


def story_file(story: Story) -> Path:
    """Write the story beside the run's other files and return its path."""
    path = story.folder / "story.json"
    path.write_text(json.dumps(story.to_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")
    return path
