// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {LeaseOffer} from "../interfaces/ICreditLease.sol";
import {LeaseStage} from "./CreditLease.t.sol";

/// @title LeaseClerk: lends, takes, repays and lets fall due, at random, and keeps its own books
contract LeaseClerk is LeaseStage {
    /// @param repaid Of principal and rent.
    /// @param toLender What the lender has got of it.
    struct Entry {
        address lender;
        address taker;
        uint256 principal;
        uint256 rent;
        uint256 repaid;
        uint256 toLender;
        uint256 feeBps;
        uint256 dueAt;
        uint256 receiptId;
        bool over;
    }

    uint256[2] private _keys = [LENDER_KEY, uint256(keccak256("another lender"))];
    LeaseOffer[] private _offers;
    uint256[] private _takenOf;
    Entry[] private _entries;

    /// @dev Not in the constructor: with all of the clerk around it, deploying there takes more stack than there is.
    function open() external {
        deployBank();
        for (uint256 i; i < 2; ++i) {
            fund(vm.addr(_keys[i]), 1e15);
            approve(vm.addr(_keys[i]), address(lease), type(uint256).max);
            fund(taker(i), 1e15);
            approve(taker(i), address(lease), type(uint256).max);
        }
        finaliseEpoch(1e9);
    }

    function taker(uint256 seed) public view returns (address) {
        return seed % 2 == 0 ? lessee : stranger;
    }

    /* STEPS */

    function makeOffer(uint256 who, uint64 amount, uint64 minTake, uint64 rent, uint32 duration) external {
        // Safe casts because the ranges are.
        // forge-lint: disable-start(unsafe-typecast)
        LeaseOffer memory offer = offerOf(uint64(within(amount, 1, 1e9)), 0);
        offer.lender = vm.addr(_keys[who % 2]);
        offer.minTake = uint64(within(minTake, 1, offer.amount));
        offer.rent = uint64(within(rent, 0, offer.amount));
        offer.term = uint32(within(duration, 1, 60 days));
        offer.expiresAt = uint40(block.timestamp + 30 days);
        // forge-lint: disable-end(unsafe-typecast)
        offer.series = lease.seriesOf(offer.lender);
        offer.salt = _offers.length;
        _offers.push(offer);
        _takenOf.push(0);
    }

    function takeOnReceipt(uint256 which, uint256 who, uint256 part, uint16 termId) external {
        uint256 number = _takable(which);
        if (number == _offers.length) return;
        LeaseOffer memory offer = _offers[number];
        part = _part(number, part);
        uint256 rent = divUp(offer.rent, part, offer.amount);
        // Enough for the penalty, too.
        // Safe cast because the range is.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint256 receiptId = receiptOf(taker(who), (part + rent) * 103 / 100 + 1_000, uint16(termId % 4));
        bytes memory signature = _signed(offer);
        vm.prank(taker(who));
        lease.take(offer, signature, part, receiptId);
        _record(number, taker(who), part, rent, receiptId);
    }

    function takeOnStanding(uint256 which, uint256 who, uint256 part) external {
        uint256 number = _takable(which);
        if (number == _offers.length || lease.standingLeaseOf(taker(who)) != 0) return;
        LeaseOffer memory offer = _offers[number];
        part = _part(number, part);
        uint256 rent = divUp(offer.rent, part, offer.amount);
        if (part + rent > lending.standingLimit(leaves[who % 2].standing)) return;
        bytes memory signature = _signed(offer);
        bytes32[] memory proof = proofOf(levels, who % 2);
        vm.prank(taker(who));
        lease.takeOnStanding(offer, signature, part, leaves[who % 2], proof);
        _record(number, taker(who), part, rent, 0);
    }

    function repay(uint256 which, uint256 who, uint256 amount) external {
        uint256 number = _running(which);
        if (number == _entries.length) return;
        Entry storage entry = _entries[number];
        uint256 owed = entry.principal + entry.rent - entry.repaid;
        amount = entry.receiptId == 0 ? within(amount, 1, owed + 1) : owed;
        uint256 before = credit.balanceOf(entry.lender);
        vm.prank(taker(who));
        uint256 paid = lease.repay(number + 1, amount);
        equal(paid, amount < owed ? amount : owed, "paid");
        _paid(entry, paid, credit.balanceOf(entry.lender) - before);
    }

    function settle(uint256 which) external {
        uint256 number = _running(which);
        if (number == _entries.length) return;
        Entry storage entry = _entries[number];
        if (entry.receiptId == 0) return;
        // Who waits for the due day finds it.
        if (block.timestamp <= entry.dueAt) vm.warp(entry.dueAt + 1);
        uint256 lenderBefore = credit.balanceOf(entry.lender);
        uint256 takerBefore = credit.balanceOf(entry.taker);
        uint256 exitValue = timeBank.exitValueOf(entry.receiptId);
        lease.settle(number + 1);
        uint256 returned = credit.balanceOf(entry.taker) - takerBefore;
        equal(returned, exitValue - entry.principal - entry.rent, "the taker gets the rest");
        _paid(entry, exitValue - returned, credit.balanceOf(entry.lender) - lenderBefore);
        isTrue(entry.over, "settled is over");
    }

    function forgive(uint256 which, uint256 rarely) external {
        uint256 number = _running(which);
        if (number == _entries.length || rarely % 4 != 0) return;
        vm.prank(_entries[number].lender);
        lease.forgive(number + 1);
        _entries[number].over = true;
    }

    function cancel(uint256 which, uint256 rarely) external {
        if (_offers.length == 0 || rarely % 4 != 0) return;
        LeaseOffer memory offer = _offers[which % _offers.length];
        vm.prank(offer.lender);
        lease.cancel(offer);
    }

    function cancelAll(uint256 who, uint256 rarely) external {
        if (rarely % 16 != 0) return;
        vm.prank(vm.addr(_keys[who % 2]));
        lease.cancelAll();
    }

    function setFee(uint16 feeBps) external {
        vm.prank(governor);
        lease.setLeaseFee(feeBps % 2_001);
    }

    function wait(uint32 time) external {
        vm.warp(block.timestamp + time % 20 days);
    }

    function giveIncome(uint64 amount) external {
        fund(address(timeBank), amount % 1e10);
        timeBank.collect();
    }

    function lapse(uint256 which) external {
        uint256 number = _running(which);
        if (number == _entries.length || _entries[number].receiptId == 0) return;
        uint256 receiptId = _entries[number].receiptId;
        uint256 before = timeBank.exitValueOf(receiptId);
        try timeBank.lapse(receiptId) {
            equal(timeBank.exitValueOf(receiptId), before, "lapsing changes no exit value");
        } catch {}
    }

    function finaliseAndClaim(uint64 grant, uint256 who) external {
        finaliseEpoch(grant % 1e9);
        _claim(who % 2);
    }

    function _claim(uint256 position) private {
        uint256 amount = leaves[position].cumulativeMint - distributor.claimed(taker(position));
        if (amount == 0) return;
        uint256 leaseId = lease.standingLeaseOf(taker(position));
        uint256 due = lease.dueFromClaims(taker(position));
        uint256 toLease = due < amount ? due : amount;
        uint256 lenderBefore = leaseId == 0 ? 0 : credit.balanceOf(_entries[leaseId - 1].lender);
        uint256 takerBefore = credit.balanceOf(taker(position));
        distributor.claim(leaves[position], proofOf(levels, position));
        equal(credit.balanceOf(taker(position)), takerBefore + amount - toLease, "the taker gets the rest");
        if (leaseId == 0) return;
        Entry storage entry = _entries[leaseId - 1];
        bool overdue = block.timestamp > entry.dueAt;
        equal(due, overdue ? entry.principal + entry.rent - entry.repaid : 0, "due from claims");
        _paid(entry, toLease, credit.balanceOf(entry.lender) - lenderBefore);
    }

    /* BOOKS */

    /// @dev The next offer that can be taken, or the number of offers when there is none.
    function _takable(uint256 which) private view returns (uint256) {
        uint256 count = _offers.length;
        for (uint256 i; i < count; ++i) {
            uint256 number = (which % count + i) % count;
            LeaseOffer memory offer = _offers[number];
            bool takable = _takenOf[number] < offer.amount && block.timestamp <= offer.expiresAt
                && offer.series == lease.seriesOf(offer.lender) && !lease.isCancelled(lease.hashOffer(offer));
            if (takable) return number;
        }
        return count;
    }

    function _part(uint256 number, uint256 seed) private view returns (uint256) {
        uint256 left = _offers[number].amount - _takenOf[number];
        uint256 minTake = _offers[number].minTake;
        return left < minTake ? left : within(seed, minTake, left);
    }

    function _signed(LeaseOffer memory offer) private view returns (bytes memory) {
        return signatureOf(offer, offer.lender == lender ? _keys[0] : _keys[1]);
    }

    /// @dev The next lease that runs, or the number of leases when there is none.
    function _running(uint256 which) private view returns (uint256) {
        uint256 count = _entries.length;
        for (uint256 i; i < count; ++i) {
            uint256 number = (which % count + i) % count;
            if (!_entries[number].over) return number;
        }
        return count;
    }

    function _record(uint256 number, address who, uint256 principal, uint256 rent, uint256 receiptId) private {
        LeaseOffer memory offer = _offers[number];
        _takenOf[number] += principal;
        _entries.push(
            Entry({
                lender: offer.lender,
                taker: who,
                principal: principal,
                rent: rent,
                repaid: 0,
                toLender: 0,
                feeBps: lease.leaseFeeBps(),
                dueAt: block.timestamp + offer.term,
                receiptId: receiptId,
                over: false
            })
        );
        equal(lease.leaseCount(), _entries.length, "leases");
    }

    function _paid(Entry storage entry, uint256 paid, uint256 toLender) private {
        entry.repaid += paid;
        entry.toLender += toLender;
        if (entry.repaid == entry.principal + entry.rent) entry.over = true;
    }

    /* CHECKS */

    function checkHoldings() external view {
        equal(credit.balanceOf(address(lease)), 0, "the lease holds no credits");
        uint256 held;
        for (uint256 i; i < _entries.length; ++i) {
            Entry memory entry = _entries[i];
            if (entry.receiptId == 0 || entry.over) continue;
            ++held;
            equal(timeBank.ownerOf(entry.receiptId), address(lease), "in custody");
            isTrue(timeBank.exitValueOf(entry.receiptId) >= entry.principal + entry.rent, "the receipt covers");
        }
        equal(timeBank.balanceOf(address(lease)), held, "no receipt without a lease");
    }

    function checkDebts() external view {
        for (uint256 i; i < _entries.length; ++i) {
            Entry memory entry = _entries[i];
            uint256 owed = entry.principal + entry.rent - entry.repaid;
            equal(lease.owedOn(i + 1), entry.over ? 0 : owed, "owed");
            uint256 rentPaid = entry.repaid > entry.principal ? entry.repaid - entry.principal : 0;
            equal(entry.toLender, entry.repaid - divUp(rentPaid, entry.feeBps, 10_000), "paid to the lender");
        }
        for (uint256 i; i < _offers.length; ++i) {
            equal(lease.takenOf(lease.hashOffer(_offers[i])), _takenOf[i], "taken of an offer");
            atMost(_takenOf[i], _offers[i].amount, "taken of an offer");
        }
    }

    function checkPledges() external view {
        for (uint256 position; position < 2; ++position) {
            uint256 leaseId = lease.standingLeaseOf(taker(position));
            address creditor = distributor.creditorOf(taker(position));
            equal(creditor, leaseId == 0 ? address(0) : address(lease), "pledged while a lease on standing runs");
            if (leaseId != 0) isTrue(!_entries[leaseId - 1].over, "it runs");
        }
    }
}

/// @title LeaseInvariantsTest: what must hold after any sequence of steps
contract LeaseInvariantsTest {
    bool public constant IS_TEST = true;

    LeaseClerk private _clerk;

    function setUp() public {
        _clerk = new LeaseClerk();
        _clerk.open();
    }

    /// @notice forge calls only the clerk.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_clerk);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// @notice forge calls only the clerk's steps.
    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory steps = new bytes4[](13);
        steps[0] = LeaseClerk.makeOffer.selector;
        steps[1] = LeaseClerk.takeOnReceipt.selector;
        steps[2] = LeaseClerk.takeOnStanding.selector;
        steps[3] = LeaseClerk.repay.selector;
        steps[4] = LeaseClerk.settle.selector;
        steps[5] = LeaseClerk.forgive.selector;
        steps[6] = LeaseClerk.cancel.selector;
        steps[7] = LeaseClerk.cancelAll.selector;
        steps[8] = LeaseClerk.setFee.selector;
        steps[9] = LeaseClerk.wait.selector;
        steps[10] = LeaseClerk.giveIncome.selector;
        steps[11] = LeaseClerk.lapse.selector;
        steps[12] = LeaseClerk.finaliseAndClaim.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(_clerk), steps);
    }

    function invariant_OnlyReceiptsOfRunningLeasesAreHeld() external view {
        _clerk.checkHoldings();
    }

    function invariant_DebtsAreWhatTheClerkWrote() external view {
        _clerk.checkDebts();
    }

    function invariant_ClaimsArePledgedWhileALeaseOnStandingRuns() external view {
        _clerk.checkPledges();
    }
}
