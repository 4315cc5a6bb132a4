"""Closing an epoch: from the feed to a published folder, signed by whom we hold keys of.

What is published is frozen: rows that come later are late. It is built anew only when the chain
would not take it any more (another policy, rate, previous header or pot), when governance voided it or
a fault in it was proved, when its files are damaged, when somebody else published what our own feed
does not give, or when somebody in it was erased before enough had signed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from timebank_chain.activity.erased import load_erased
from timebank_chain.chain.addresses import address_bytes
from timebank_chain.chain.signer import Signer
from timebank_chain.epoch import EpochBuild, PublishedEpoch, build_epoch, epoch_folder, publish, read_epoch
from timebank_chain.errors import EpochError, OracleError
from timebank_chain.oracle.feed import PACKED, FeedSnapshot, take_snapshot
from timebank_chain.oracle.holds import HeldEpoch, Holds
from timebank_chain.oracle.intake import EpochIntake, read_intake
from timebank_chain.oracle.journal import Journal
from timebank_chain.oracle.propose import Voided, why_not_next
from timebank_chain.oracle.recompute import differences
from timebank_chain.oracle.rejects import RejectsFile
from timebank_chain.oracle.settings import OracleSettings
from timebank_chain.oracle.sign import Collected, collect_signatures, sign_header, write_signature
from timebank_chain.oracle.state import OracleState
from timebank_chain.oracle.submit import Checkpoint
from timebank_chain.units import format_micro, format_time

log = structlog.get_logger("timebank.oracle")


@dataclass(frozen=True, eq=False, slots=True)
class _Making:
    """The next epoch in memory, and what it was made from."""

    build: EpochBuild
    snapshot: FeedSnapshot
    intake: EpochIntake
    held: HeldEpoch


class EpochCloser:
    """Builds, publishes and signs the next epoch.

    Parameters
    ----------
    signers
        Our keys; those in the quorum sign.
    oracle_address
        Of the RateOracle, 20 bytes.
    holds
        What is kept out of epochs, and brought in.
    """

    def __init__(
        self,
        settings: OracleSettings,
        journal: Journal,
        signers: Sequence[Signer],
        *,
        chain_id: int,
        oracle_address: bytes,
        holds: Holds,
        checkpoint: Checkpoint,
    ) -> None:
        self.settings = settings
        self.journal = journal
        self.signers = signers
        self.chain_id = chain_id
        self.oracle_address = oracle_address
        self.holds = holds
        self.checkpoint = checkpoint
        self._rejects = RejectsFile(settings.rejects_path)

    def previous(self, state: OracleState) -> PublishedEpoch | None:
        """Return the published epoch the chain finalised last, ``None`` before the first.

        Raises
        ------
        OracleError
            If our folder holds another epoch of that number.
        """
        if state.latest_epoch == 0:
            return None
        published = read_epoch(self.settings.epochs, state.latest_epoch)
        if published.header.hash() != state.latest_header_hash:
            raise OracleError(
                f"the published epoch {state.latest_epoch} has the header 0x{published.header.hash().hex()}, "
                f"the chain finalised 0x{state.latest_header_hash.hex()}",
                where=str(published.folder),
                hint="fetch the finalised epoch's files from whoever proposed it",
            )
        return published

    def interval(self, previous: PublishedEpoch | None) -> tuple[int, int]:
        """Return start and end of the next epoch, Unix milliseconds.

        Raises
        ------
        OracleError
            If nothing says where the first one starts, or how long epochs are.
        """
        length = self.settings.policy.epoch_ms
        if length == 0:
            raise OracleError(
                f"policy '{self.settings.policy.name}' leaves the length of epochs free",
                hint="choose a policy with an epoch, or close epochs by hand: timebank epoch build, "
                "then timebank oracle propose",
            )
        if previous is not None:
            start = previous.header.end_ms
        elif self.settings.first_epoch_start_ms is None:
            raise OracleError(
                "no epoch is final yet, so nothing says where the first one starts",
                hint="add --first-epoch-start, for example 2026-01-01T00:00:00Z",
            )
        else:
            start = self.settings.first_epoch_start_ms
        return start, start + length

    def existing(
        self, state: OracleState, previous: PublishedEpoch | None, voided: dict[bytes, Voided], now_ms: int
    ) -> PublishedEpoch | None:
        """Return the next epoch as published already, if it can be proposed as it is."""
        number = state.latest_epoch + 1
        if not epoch_folder(self.settings.epochs, number).exists():
            return None
        try:
            published = read_epoch(self.settings.epochs, number)
        except EpochError as error:
            log.warning("building again", epoch=number, reason=str(error))
            return None
        header = published.header
        reason = why_not_next(header, state)
        start, end = self.interval(previous)
        if reason is None and (header.start_ms, header.end_ms) != (start, end):
            reason = f"it covers {format_time(header.start_ms)} to {format_time(header.end_ms)}"
        earlier = voided.get(header.hash())
        if reason is None and earlier is not None and not earlier.withheld:
            reason = f"it was voided: {earlier.reason}"
        if reason is None and self._has_erased(published) and not self.collect(published, state).complete:
            reason = "acts in it were erased since, so that whoever erased them cannot sign it"
        if reason is None and not self.journal.was_built(header.hash()):
            reason = self._contradiction(published, previous, now_ms)
        if reason is not None:
            log.warning("building again", epoch=number, reason=reason)
            return None
        return published

    def preview(self, state: OracleState, previous: PublishedEpoch | None, *, now_ms: int) -> EpochBuild:
        """Build the next epoch in memory; nothing is written."""
        with self._building(state, previous, now_ms) as making:
            return making.build

    @contextmanager
    def _building(
        self, state: OracleState, previous: PublishedEpoch | None, now_ms: int
    ) -> Iterator[_Making]:
        """Read the feed and build the next epoch in memory; nobody else changes the holds meanwhile."""
        start, end = self.interval(previous)
        intake, snapshot = self._intake(start, end, now_ms)
        number = state.latest_epoch + 1
        policy = self.settings.policy
        with self.holds.building(
            intake.known, epoch=number, start_ms=start, end_ms=end, policy=policy
        ) as held:
            build = build_epoch(
                held.table,
                self.settings.read_members(),
                policy,
                start_ms=start,
                end_ms=end,
                previous=previous,
                rate_q24=state.rate_q24,
                pot=state.bonus,
                data_uri=self.settings.data_uri(number),
            )
            yield _Making(build, snapshot, intake, held)

    def close(
        self,
        state: OracleState,
        previous: PublishedEpoch | None,
        voided: dict[bytes, Voided],
        *,
        now_ms: int,
    ) -> PublishedEpoch:
        """Build and publish the next epoch.

        Raises
        ------
        OracleError
            If the result is what was voided before, by governance or by proof.
        """
        with self._building(state, previous, now_ms) as making:
            header = making.build.header
            earlier = voided.get(header.hash())
            if earlier is not None and not earlier.withheld:
                raise OracleError(
                    f"epoch {header.epoch} comes out again exactly as it was voided ({earlier.reason})",
                    hint="correct the feed, the members file or the policy; it would only lose another bond",
                )
            fresh = self._rejects.append(making.intake.rejects)
            # Remembered before publishing: a folder that appears is then known to be ours.
            self.journal.built(header.epoch, header.hash())
            making.held.publishing(header)
            self.checkpoint("holds written")
            published = publish(making.build, self.settings.epochs, force=True)
            self.checkpoint("folder published")
        snapshot, intake = making.snapshot, making.intake
        self.journal.pass_over(intake.late_ids)
        self.journal.mark_feed(snapshot.marks)
        log.info(
            "published",
            epoch=header.epoch,
            end=format_time(header.end_ms),
            acts=header.activity_count,
            accounts=header.account_count,
            active=header.active_count,
            mint=format_micro(header.total_mint),
            header="0x" + header.hash().hex(),
        )
        self._tell(header.epoch, making.held)
        if fresh:
            log.warning("rejected", rows=fresh, file=str(self.settings.rejects_path))
        for name, size in snapshot.held_back.items():
            log.warning("last line has no newline yet, left for later", file=name, bytes=size)
        for name in snapshot.ignored:
            log.warning("not a feed format, passed over", file=name, hint=PACKED)
        self.checkpoint("published")
        return published

    def _tell(self, epoch: int, held: HeldEpoch) -> None:
        """Say what is held and brought in, and why."""
        if held.note is not None:
            log.warning("not judged", epoch=epoch, reason=held.note)
        for one in held.fresh:
            log.warning(
                "held",
                epoch=epoch,
                member=one.member,
                acts=len(one.acts),
                score=round(one.score, 2),
                why="; ".join(one.reasons),
            )
        if held.held_back or held.brought_in:
            log.info(
                "whoever signs needs the file of holds",
                epoch=epoch,
                held_back=held.held_back,
                brought_in=held.brought_in,
                file=str(self.holds.path),
            )
        if held.gone:
            log.warning("released acts that were erased are left out", epoch=epoch, acts=len(held.gone))
        for member, act in held.missing:
            log.warning(
                "a released act has no row in the feed, or several: it waits for it",
                epoch=epoch,
                member=member,
                act=act,
            )
        for text in held.lacking:
            log.warning("released pay is missing", why=text)

    def sign(self, published: PublishedEpoch, state: OracleState) -> Collected:
        """Sign with our quorum keys and collect everybody's signatures."""
        for signer in self.signers:
            address = address_bytes(signer.address)
            if address in state.quorum and not self._has_signed(published, address, state):
                signature = sign_header(published.header, signer, self.chain_id, self.oracle_address)
                write_signature(published.folder, signature)
                log.info("signed", epoch=published.number, signer=signer.address)
        self.checkpoint("signed")
        collected = self.collect(published, state)
        for name, reason in collected.refused:
            log.warning("signature refused", epoch=published.number, file=name, reason=reason)
        return collected

    def collect(self, published: PublishedEpoch, state: OracleState) -> Collected:
        """Check every signature file of an epoch."""
        return collect_signatures(
            published.folder,
            published.header,
            chain_id=self.chain_id,
            oracle_address=self.oracle_address,
            quorum=state.quorum,
            threshold=state.threshold,
        )

    def remember_closed(self, state: OracleState) -> None:
        """Load the record ids of finalised epochs, so that late rows are told from closed ones."""
        known = self.journal.included_epochs()
        for number in range(1, state.latest_epoch + 1):
            if number not in known:
                rows = read_epoch(self.settings.epochs, number).activities
                self.journal.include(number, (record.tobytes() for record in rows.record_id))

    def _has_signed(self, published: PublishedEpoch, address: bytes, state: OracleState) -> bool:
        return any(signature.signer == address for signature in self.collect(published, state).signatures)

    def _has_erased(self, published: PublishedEpoch) -> bool:
        erased = load_erased(self.settings.erased_path)
        records = (record.tobytes() for record in published.activities.record_id)
        return erased is not None and not erased.records.isdisjoint(records)

    def _contradiction(
        self, published: PublishedEpoch, previous: PublishedEpoch | None, now_ms: int
    ) -> str | None:
        """Return why our own feed does not give what somebody else has published."""
        header = published.header
        intake, _ = self._intake(header.start_ms, header.end_ms, now_ms)
        source = (self.holds.seen_from(intake.known, published), self.settings.read_members())
        findings = differences(published, previous, self.settings.policy, source)
        return f"our own feed differs: {findings[0]}" if findings else None

    def _intake(self, start_ms: int, end_ms: int, now_ms: int) -> tuple[EpochIntake, FeedSnapshot]:
        held = self.holds.records()
        with tempfile.TemporaryDirectory(prefix="feed-", dir=self.settings.state_folder) as folder:
            snapshot = take_snapshot(self.settings.feed, self.journal.feed_marks(), Path(folder))
            intake = read_intake(
                snapshot.files,
                self.settings.mapping,
                self.settings.policy,
                start_ms=start_ms,
                end_ms=end_ms,
                now_ms=now_ms,
                salt_key=self.settings.salt_key,
                # What was held did not come late, though no closed epoch has it.
                is_closed=lambda record: record in held or self.journal.is_included(record),
                published=self.journal.epoch_of,
                erased=load_erased(self.settings.erased_path),
            )
        return intake, snapshot
