// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IClaimCreditor} from "../interfaces/IClaimCreditor.sol";
import {ICreditDistributor} from "../interfaces/ICreditDistributor.sol";
import {IFeePool} from "../interfaces/IFeePool.sol";
import {ITimeBank} from "../interfaces/ITimeBank.sol";
import {AccountLeaf} from "../libraries/EpochTree.sol";
import {System} from "./System.sol";

/// @title Creditor: keeps debts and frees the claims once one is paid off
contract Creditor is IClaimCreditor {
    ICreditDistributor private immutable _distributor;

    mapping(address borrower => uint256) public dueFromClaims;
    mapping(address borrower => address) private _accountOf;

    constructor(ICreditDistributor distributor) {
        _distributor = distributor;
    }

    function lend(address account, address borrower, uint256 debt) external {
        dueFromClaims[borrower] = debt;
        _accountOf[borrower] = account;
        _distributor.pledgeClaims(account, borrower);
    }

    function free(address account, address borrower) external {
        _distributor.releaseClaims(account, borrower);
    }

    function repayFromClaim(address borrower, uint256 amount) external {
        require(msg.sender == address(_distributor));
        require(_distributor.credit().balanceOf(address(this)) >= amount);
        dueFromClaims[borrower] -= amount;
        if (dueFromClaims[borrower] == 0) _distributor.releaseClaims(_accountOf[borrower], borrower);
    }
}

/// @title ClaimRoutingTest: what stands between a claim and the wallet
contract ClaimRoutingTest is System {
    uint256 private constant MEMBERS = 4;
    uint64 private constant GRANT = 1_000_000;

    /// @dev The third member; the fourth holds the wallet it is linked to.
    address private constant PLACEHOLDER = 0x74696D6562616E6B000000000000000000000001;

    address private member = _account(0);
    address private other = _account(1);
    address private holder = _account(3);

    Creditor private lender;
    Creditor private lessor;

    AccountLeaf[] private _leaves;
    bytes32[][] private _levels;

    function setUp() public {
        deploySystem();
        lender = new Creditor(distributor);
        lessor = new Creditor(distributor);
        setRooms(address(timeBank), address(lender), address(lessor));
    }

    /* PLEDGED CLAIMS */

    function test_NothingOverdueLeavesTheClaimToTheMember() public {
        lender.lend(member, member, 0);
        _finalise();
        equal(_claim(0), GRANT, "minted");
        equal(credit.balanceOf(member), GRANT, "the member's balance");
        equal(distributor.creditorOf(member), address(lender), "creditor");
    }

    function test_OverdueDebtIsRepaidFirstAndTheRestIsTheMembers() public {
        lender.lend(member, member, 300_000);
        _finalise();
        vm.expectEmit();
        emit ICreditDistributor.Claimed(member, member, 1, GRANT, GRANT);
        vm.expectEmit();
        emit ICreditDistributor.ClaimsPledgeSet(member, member, address(0));
        vm.expectEmit();
        emit ICreditDistributor.ClaimRouted(member, address(lender), 300_000, 0, 0);
        equal(_claim(0), GRANT, "minted");
        equal(credit.balanceOf(address(lender)), 300_000, "the creditor's balance");
        equal(credit.balanceOf(member), GRANT - 300_000, "the member's balance");
    }

    function test_ADebtAboveTheClaimTakesAllOfItAndGoesOn() public {
        lessor.lend(member, member, GRANT + 1);
        _finalise();
        _claim(0);
        equal(credit.balanceOf(address(lessor)), GRANT, "the creditor's balance");
        equal(credit.balanceOf(member), 0, "the member's balance");
        equal(lessor.dueFromClaims(member), 1, "left to pay");
        equal(distributor.creditorOf(member), address(lessor), "creditor");
    }

    function test_PayingOffFreesTheClaimsAndForgetsNothing() public {
        lender.lend(member, member, GRANT);
        vm.prank(member);
        distributor.setStandingOrder(member, WEEK);
        _finalise();
        _claim(0);
        equal(distributor.creditorOf(member), address(0), "creditor");
        equal(distributor.claimed(member), GRANT, "claimed");
        (bool active, uint256 termId) = distributor.standingOrderOf(member);
        isTrue(active && termId == WEEK, "the order stands");
        equal(timeBank.books().nextId - 1, 0, "deposits");

        vm.expectRevert(abi.encodeWithSelector(ICreditDistributor.NothingToClaim.selector, member, GRANT));
        _claim(0);
        _finalise();
        equal(_claim(0), GRANT, "minted of the next epoch");
        equal(timeBank.positionOf(1).principal, GRANT, "deposited");
    }

    function test_ClaimsOfPlaceholderAndWalletBothRepayTheWalletsDebt() public {
        _link();
        lender.lend(PLACEHOLDER, holder, GRANT + 400_000);
        _finalise();
        _claim(2);
        equal(lender.dueFromClaims(holder), 400_000, "left to pay");
        _claim(3);
        equal(credit.balanceOf(address(lender)), GRANT + 400_000, "the creditor's balance");
        equal(credit.balanceOf(holder), GRANT - 400_000, "the wallet's balance");
        equal(distributor.creditorOf(PLACEHOLDER), address(0), "the placeholder's creditor");
        equal(distributor.creditorOf(holder), address(0), "the wallet's creditor");
    }

    /* STANDING ORDERS */

    function test_AStandingOrderDepositsTheClaim() public {
        vm.expectEmit();
        emit ICreditDistributor.StandingOrderSet(member, true, WEEK);
        vm.prank(member);
        distributor.setStandingOrder(member, WEEK);
        _finalise();
        vm.expectEmit();
        emit ICreditDistributor.Claimed(member, member, 1, GRANT, GRANT);
        vm.expectEmit();
        emit ICreditDistributor.ClaimRouted(member, address(0), 0, 1, GRANT);
        vm.prank(stranger);
        _claim(0);
        equal(credit.balanceOf(address(timeBank)), GRANT, "the bank's balance");
        equal(credit.balanceOf(member), 0, "the member's balance");
        equal(timeBank.ownerOf(1), member, "owner");
        equal(timeBank.positionOf(1).principal, GRANT, "amount");
        equal(timeBank.positionOf(1).termId, WEEK, "term");
    }

    function test_ThePlaceholdersOrderDepositsForItsWallet() public {
        _link();
        vm.prank(holder);
        distributor.setStandingOrder(PLACEHOLDER, WEEK);
        _finalise();
        _claim(2);
        equal(timeBank.ownerOf(1), holder, "owner");
    }

    function test_AnEndedOrderDepositsNothing() public {
        vm.prank(member);
        distributor.setStandingOrder(member, WEEK);
        vm.expectEmit();
        emit ICreditDistributor.StandingOrderSet(member, false, 0);
        vm.prank(member);
        distributor.endStandingOrder(member);
        (bool active, uint256 termId) = distributor.standingOrderOf(member);
        isTrue(!active && termId == 0, "no order");
        _finalise();
        _claim(0);
        equal(credit.balanceOf(member), GRANT, "the member's balance");
    }

    function test_ANewOrderReplacesTheOld() public {
        vm.prank(member);
        distributor.setStandingOrder(member, WEEK);
        vm.prank(member);
        distributor.setStandingOrder(member, MONTH);
        (bool active, uint256 termId) = distributor.standingOrderOf(member);
        isTrue(active && termId == MONTH, "the new order");
    }

    function testFuzz_CreditorThenDepositOrWalletNeverMoreThanTheClaim(uint64 debt, bool hasOrder) public {
        lender.lend(member, member, debt);
        if (hasOrder) {
            vm.prank(member);
            distributor.setStandingOrder(member, WEEK);
        }
        _finalise();
        _claim(0);
        uint256 toCreditor = Math.min(debt, GRANT);
        uint256 rest = GRANT - toCreditor;
        equal(credit.balanceOf(address(lender)), toCreditor, "the creditor's balance");
        equal(credit.balanceOf(address(timeBank)), hasOrder ? rest : 0, "the bank's balance");
        equal(credit.balanceOf(member), hasOrder ? 0 : rest, "the member's balance");
        equal(timeBank.books().nextId - 1, hasOrder && rest != 0 ? 1 : 0, "deposits");
        equal(credit.totalSupply(), GRANT, "supply");
        equal(distributor.claimed(member), GRANT, "claimed");
    }

    function test_ClaimManyRoutesEachAccount() public {
        lender.lend(member, member, 250_000);
        vm.prank(other);
        distributor.setStandingOrder(other, WEEK);
        _finalise();
        AccountLeaf[] memory leaves = new AccountLeaf[](MEMBERS);
        for (uint256 i; i < MEMBERS; ++i) {
            leaves[i] = _leaves[i];
        }
        uint256 minted = distributor.claimMany(leaves, new bytes32[](0), _levels.length - 1);
        // Nobody is linked to the placeholder.
        equal(minted, 3 * GRANT, "minted");
        equal(credit.balanceOf(address(lender)), 250_000, "the creditor's balance");
        equal(credit.balanceOf(member), GRANT - 250_000, "the member's balance");
        equal(timeBank.positionOf(1).principal, GRANT, "deposited");
        equal(credit.balanceOf(holder), GRANT, "who has neither");
    }

    function test_RevertWhen_TheOrderIsNotTheCallersToGive() public {
        bytes memory reason = abi.encodeWithSelector(ICreditDistributor.NotAccountHolder.selector, member, other);
        vm.expectRevert(reason);
        vm.prank(other);
        distributor.setStandingOrder(member, WEEK);
        vm.expectRevert(reason);
        vm.prank(other);
        distributor.endStandingOrder(member);
        vm.expectRevert(abi.encodeWithSelector(ICreditDistributor.NotAccountHolder.selector, PLACEHOLDER, PLACEHOLDER));
        vm.prank(PLACEHOLDER);
        distributor.setStandingOrder(PLACEHOLDER, WEEK);
    }

    function test_RevertWhen_TheTermDoesNotExist() public {
        vm.expectRevert(abi.encodeWithSelector(ITimeBank.NoSuchTerm.selector, 4, 4));
        vm.prank(member);
        distributor.setStandingOrder(member, 4);
    }

    /* PLEDGES */

    function test_PledgingAgainChangesNothing() public {
        lender.lend(member, member, 5);
        vm.expectEmit();
        emit ICreditDistributor.ClaimsPledgeSet(member, member, address(lender));
        lender.lend(member, member, 5);
        equal(distributor.creditorOf(member), address(lender), "creditor");
    }

    function test_FreeingWhatIsFreeChangesNothing() public {
        vm.expectEmit();
        emit ICreditDistributor.ClaimsPledgeSet(member, member, address(0));
        lender.free(member, member);
        equal(distributor.creditorOf(member), address(0), "creditor");
    }

    function test_FreedClaimsCanBePledgedToTheOther() public {
        lender.lend(member, member, 5);
        lender.free(member, member);
        lessor.lend(member, member, 7);
        equal(distributor.creditorOf(member), address(lessor), "creditor");
    }

    function test_PledgeAndOrderKeepWhatWasClaimed() public {
        _finalise();
        _claim(0);
        lender.lend(member, member, 0);
        vm.prank(member);
        distributor.setStandingOrder(member, WEEK);
        lender.free(member, member);
        vm.prank(member);
        distributor.endStandingOrder(member);
        equal(distributor.claimed(member), GRANT, "claimed");
    }

    function test_RevertWhen_AStrangerPledgesOrFrees() public {
        bytes memory reason = abi.encodeWithSelector(ICreditDistributor.NotCreditor.selector, member);
        vm.expectRevert(reason);
        vm.prank(member);
        distributor.pledgeClaims(member, member);
        vm.expectRevert(reason);
        vm.prank(member);
        distributor.releaseClaims(member, member);
    }

    function test_RevertWhen_ThePledgedWalletIsNotTheAccounts() public {
        vm.expectRevert(abi.encodeWithSelector(ICreditDistributor.NotAccountHolder.selector, member, other));
        lender.lend(member, other, 1);
        vm.expectRevert(abi.encodeWithSelector(ICreditDistributor.NotAccountHolder.selector, PLACEHOLDER, holder));
        lender.lend(PLACEHOLDER, holder, 1);
        vm.expectRevert(abi.encodeWithSelector(ICreditDistributor.NotAccountHolder.selector, PLACEHOLDER, address(0)));
        lender.lend(PLACEHOLDER, address(0), 1);
    }

    function test_RevertWhen_AnotherHoldsThePledge() public {
        _link();
        lender.lend(holder, holder, 1);
        bytes memory reason = abi.encodeWithSelector(ICreditDistributor.ClaimsPledged.selector, holder, address(lender));
        vm.expectRevert(reason);
        lessor.lend(holder, holder, 1);
        // The placeholder itself is free, its wallet is not.
        vm.expectRevert(reason);
        lessor.lend(PLACEHOLDER, holder, 1);
        vm.expectRevert(reason);
        lessor.free(PLACEHOLDER, holder);

        lender.lend(PLACEHOLDER, holder, 1);
        vm.expectRevert(abi.encodeWithSelector(ICreditDistributor.ClaimsPledged.selector, PLACEHOLDER, address(lender)));
        lessor.free(PLACEHOLDER, holder);
    }

    /* ROOMS AND PAYEES */

    function test_RoomsAreSetOnceByTheAdministrator() public {
        deploySystem();
        equal(distributor.authority(), address(manager), "authority");
        vm.expectRevert(abi.encodeWithSelector(ICreditDistributor.RoomsNotSet.selector));
        vm.prank(member);
        distributor.setStandingOrder(member, WEEK);
        vm.expectRevert(abi.encodeWithSelector(ICreditDistributor.NotAdministrator.selector, governor));
        vm.prank(governor);
        distributor.setRooms(address(timeBank), address(lender), address(lessor));
        for (uint256 i; i < 3; ++i) {
            address[3] memory rooms = [address(timeBank), address(lender), address(lessor)];
            rooms[i] = address(0);
            vm.expectRevert(
                abi.encodeWithSelector(ICreditDistributor.RoomsFixed.selector, rooms[0], rooms[1], rooms[2])
            );
            distributor.setRooms(rooms[0], rooms[1], rooms[2]);
        }

        vm.expectEmit();
        emit ICreditDistributor.RoomsSet(address(timeBank), address(lender), address(lessor));
        distributor.setRooms(address(timeBank), address(lender), address(lessor));
        equal(distributor.timeBank(), address(timeBank), "time bank");
        equal(distributor.lending(), address(lender), "lending");
        equal(distributor.lease(), address(lessor), "lease");
        vm.expectRevert(
            abi.encodeWithSelector(
                ICreditDistributor.RoomsFixed.selector, address(timeBank), address(lender), address(lessor)
            )
        );
        distributor.setRooms(address(1), address(2), address(3));
    }

    function test_PayeesAreSetOnceByTheAdministrator() public {
        deploySystem();
        vm.expectRevert(abi.encodeWithSelector(IFeePool.NotPayee.selector, address(timeBank), address(0)));
        vm.prank(address(timeBank));
        feePool.payDepositors();
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, governor));
        vm.prank(governor);
        feePool.setPayees(address(timeBank), address(lender));
        vm.expectRevert(abi.encodeWithSelector(IFeePool.PayeesFixed.selector, address(0), address(lender)));
        feePool.setPayees(address(0), address(lender));
        vm.expectRevert(abi.encodeWithSelector(IFeePool.PayeesFixed.selector, address(timeBank), address(0)));
        feePool.setPayees(address(timeBank), address(0));

        vm.expectEmit();
        emit IFeePool.PayeesSet(address(timeBank), address(lender));
        feePool.setPayees(address(timeBank), address(lender));
        equal(feePool.timeBank(), address(timeBank), "time bank");
        equal(feePool.lending(), address(lender), "lending");
        vm.expectRevert(abi.encodeWithSelector(IFeePool.PayeesFixed.selector, address(timeBank), address(lender)));
        feePool.setPayees(address(1), address(2));
    }

    /* FEE POOL */

    function test_DepositorsArePaidWhatHasArrived() public {
        _give(1_000);
        vm.expectEmit();
        emit IFeePool.FeesCollected(1_000, 500, 300, 200);
        vm.expectEmit();
        emit IFeePool.DepositorsPaid(500);
        vm.prank(address(timeBank));
        equal(feePool.payDepositors(), 500, "paid");
        equal(credit.balanceOf(address(timeBank)), 500, "the bank's balance");
        _poolHolds(0, 300, 200);
        vm.prank(address(timeBank));
        equal(feePool.payDepositors(), 0, "paid again");
    }

    function test_LossesArePaidFromTheReserveAsFarAsItGoes() public {
        _give(1_000);
        vm.expectEmit();
        emit IFeePool.LossCovered(150, 150);
        vm.prank(address(lender));
        equal(feePool.coverLoss(150), 150, "paid");
        _poolHolds(500, 300, 50);
        vm.expectEmit();
        emit IFeePool.LossCovered(60, 50);
        vm.prank(address(lender));
        equal(feePool.coverLoss(60), 50, "paid");
        vm.expectEmit();
        emit IFeePool.LossCovered(60, 0);
        vm.prank(address(lender));
        equal(feePool.coverLoss(60), 0, "paid");
        _poolHolds(500, 300, 0);
        equal(credit.balanceOf(address(lender)), 200, "the lending pool's balance");
    }

    function test_RestoredLossesAreTheReservesAlone() public {
        _give(1_000);
        feePool.sync();
        _give(70);
        vm.expectRevert(abi.encodeWithSelector(IFeePool.NothingRestored.selector, 71, 70));
        vm.prank(address(lender));
        feePool.restoreReserve(71);
        vm.expectEmit();
        emit IFeePool.ReserveRestored(60);
        vm.prank(address(lender));
        feePool.restoreReserve(60);
        _poolHolds(500, 300, 260);
        equal(feePool.sync(), 10, "what else had arrived");
    }

    function test_RevertWhen_SomebodyElseDraws() public {
        address[3] memory callers = [address(lender), address(timeBank), governor];
        for (uint256 i; i < 3; ++i) {
            if (callers[i] != address(timeBank)) {
                vm.expectRevert(abi.encodeWithSelector(IFeePool.NotPayee.selector, callers[i], address(timeBank)));
                vm.prank(callers[i]);
                feePool.payDepositors();
            }
            if (callers[i] != address(lender)) {
                bytes memory reason = abi.encodeWithSelector(IFeePool.NotPayee.selector, callers[i], address(lender));
                vm.expectRevert(reason);
                vm.prank(callers[i]);
                feePool.coverLoss(1);
                vm.expectRevert(reason);
                vm.prank(callers[i]);
                feePool.restoreReserve(0);
            }
        }
    }

    function testFuzz_AccountsStayThePoolsBalance(uint64[6] calldata amounts) public {
        for (uint256 i; i < 6; ++i) {
            uint256 amount = amounts[i] % (GRANT / 8);
            _give(amount);
            if (i % 3 == 0) {
                vm.prank(address(lender));
                feePool.restoreReserve(amount / 2);
            } else if (i % 3 == 1) {
                vm.prank(address(lender));
                feePool.coverLoss(amount);
            } else {
                vm.prank(address(timeBank));
                feePool.payDepositors();
            }
            feePool.sync();
            equal(
                feePool.depositors() + feePool.bonus() + feePool.reserve(),
                credit.balanceOf(address(feePool)),
                "the accounts together"
            );
        }
    }

    /* VIEWS */

    function test_OnlyALeafOfTheLatestEpochIsLatest() public {
        AccountLeaf memory leaf;
        isTrue(!distributor.isLatestLeaf(leaf, new bytes32[](0)), "no epoch yet");
        _finalise();
        leaf = _leaves[1];
        bytes32[] memory proof = proofOf(_levels, 1);
        isTrue(distributor.isLatestLeaf(leaf, proof), "in the latest epoch");
        leaf.standing += 1;
        isTrue(!distributor.isLatestLeaf(leaf, proof), "another standing");
        leaf.standing -= 1;
        proof[1] ^= bytes32(uint256(1));
        isTrue(!distributor.isLatestLeaf(leaf, proof), "another proof");
        proof[1] ^= bytes32(uint256(1));
        _finalise();
        isTrue(!distributor.isLatestLeaf(leaf, proof), "an older epoch");
    }

    function test_ReceiverIsTheAccountOrItsWallet() public {
        equal(distributor.receiverOf(member), member, "a wallet");
        equal(distributor.receiverOf(PLACEHOLDER), address(0), "a placeholder without one");
        _link();
        equal(distributor.receiverOf(PLACEHOLDER), holder, "a linked placeholder");
    }

    /* STEPS */

    function _account(uint256 i) private pure returns (address) {
        // Safe cast because the sum is small.
        // forge-lint: disable-next-line(unsafe-typecast)
        return i == 2 ? PLACEHOLDER : address(uint160(0x3000 + i));
    }

    function _link() private {
        vm.prank(registrar);
        registry.requestLink(PLACEHOLDER, holder);
        vm.warp(block.timestamp + LINK_DELAY);
        registry.confirmLink(PLACEHOLDER);
    }

    /// @dev One more epoch that grants every member the same.
    function _finalise() private {
        address[] memory accounts = new address[](MEMBERS);
        uint64[] memory minted = new uint64[](MEMBERS);
        uint64[] memory cumulative = new uint64[](MEMBERS);
        for (uint256 i; i < MEMBERS; ++i) {
            accounts[i] = _account(i);
            minted[i] = GRANT;
            cumulative[i] = GRANT * (oracle.latestEpoch() + 1);
        }
        AccountLeaf[] memory leaves = leavesOf(accounts, minted, cumulative);
        delete _leaves;
        for (uint256 i; i < MEMBERS; ++i) {
            _leaves.push(leaves[i]);
        }
        _levels = levelsOf(hashesOf(leaves));
        // Safe cast because there is a handful of members.
        // forge-lint: disable-next-line(unsafe-typecast)
        proposeAndFinalise(nextHeader(rootOf(_levels), uint32(MEMBERS), uint64(MEMBERS) * GRANT, 0));
    }

    function _claim(uint256 i) private returns (uint256) {
        return distributor.claim(_leaves[i], proofOf(_levels, i));
    }

    /// @dev Credits for the fee pool, unbooked.
    function _give(uint256 amount) private {
        if (credit.balanceOf(other) < amount) {
            _finalise();
            _claim(1);
        }
        vm.prank(other);
        require(credit.transfer(address(feePool), amount));
    }

    function _poolHolds(uint256 depositors, uint256 bonus, uint256 reserve) private view {
        equal(feePool.depositors(), depositors, "depositors");
        equal(feePool.bonus(), bonus, "bonus");
        equal(feePool.reserve(), reserve, "reserve");
    }
}
