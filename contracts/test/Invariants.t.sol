// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {EpochHeader} from "../interfaces/IRateOracle.sol";
import {AccountLeaf} from "../libraries/EpochTree.sol";
import {System} from "./System.sol";

/// @title Clerk: does everything anybody can do, at random, and keeps its own books
/// @dev The books are sums a bank clerk would keep; the contracts must agree with them after every step.
contract Clerk is System {
    uint256 private constant MEMBERS = 6;

    uint64[6] public granted;
    uint256[6] public paidOut;
    uint256 public burned;
    uint256 public grantedTotal;
    uint256 public claimedTotal;
    uint256 public heldBonds;
    uint256 public destroyedBonds;
    bool public claimFell;

    AccountLeaf[] private _leaves;
    bytes32[][] private _levels;
    AccountLeaf[] private _nextLeaves;
    EpochHeader private _pendingHeader;

    constructor() {
        deploySystem();
        for (uint256 i; i < MEMBERS; ++i) {
            vm.prank(member(i));
            credit.approve(address(payments), type(uint256).max);
        }
    }

    function member(uint256 i) public pure returns (address) {
        // Safe cast because the sum is small.
        // forge-lint: disable-next-line(unsafe-typecast)
        return address(uint160(0x2000 + i % MEMBERS));
    }

    /* STEPS */

    function proposeEpoch(uint64[6] calldata grants, uint64 potSeed) external {
        if (oracle.pending().epoch != 0) return;
        vm.warp(block.timestamp + 1 hours);
        address[] memory accounts = new address[](MEMBERS);
        uint64[] memory minted = new uint64[](MEMBERS);
        uint64[] memory cumulative = new uint64[](MEMBERS);
        uint64 total;
        for (uint256 i; i < MEMBERS; ++i) {
            accounts[i] = member(i);
            minted[i] = grants[i] % 1e12;
            cumulative[i] = granted[i] + minted[i];
            total += minted[i];
        }
        // Safe cast because the bonus is a part of what these epochs granted.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint64 pot = uint64(within(potSeed, 0, feePool.bonus()));
        if (pot > total) pot = total;
        AccountLeaf[] memory leaves = leavesOf(accounts, minted, cumulative);
        delete _nextLeaves;
        for (uint256 i; i < MEMBERS; ++i) {
            _nextLeaves.push(leaves[i]);
        }
        _pendingHeader = nextHeader(rootOf(levelsOf(hashesOf(leaves))), 6, total, pot);
        propose(_pendingHeader);
        heldBonds += BOND;
    }

    function finaliseEpoch() external {
        if (oracle.pending().epoch == 0) return;
        vm.warp(block.timestamp + WINDOW);
        oracle.finalise(_pendingHeader);
        delete _leaves;
        for (uint256 i; i < MEMBERS; ++i) {
            _leaves.push(_nextLeaves[i]);
            granted[i] = _nextLeaves[i].cumulativeMint;
        }
        _levels = levelsOf(hashesOf(_nextLeaves));
        burned += _pendingHeader.pot;
        grantedTotal += _pendingHeader.totalMint;
    }

    function voidEpoch(bool forNobody) external {
        if (oracle.pending().epoch == 0) return;
        bytes32 headerHash = oracle.pending().headerHash;
        vm.prank(governor);
        oracle.voidProposal(headerHash, forNobody ? address(0) : stranger, "the clerk says so");
        destroyedBonds += forNobody ? BOND : BOND / 2;
    }

    function withdrawBond(bool challenger) external {
        address owner = challenger ? stranger : proposer;
        uint256 amount = oracle.withdrawableBond(owner);
        if (amount == 0) return;
        vm.prank(owner);
        oracle.withdrawBond(payable(owner));
        heldBonds -= amount;
    }

    function claim(uint256 seed) external {
        if (_leaves.length == 0) return;
        uint256 i = seed % MEMBERS;
        uint256 before = distributor.claimed(member(i));
        try distributor.claim(_leaves[i], proofOf(_levels, i)) returns (uint256 minted) {
            _paid(i, minted);
        } catch {
            isTrue(before == granted[i], "only nothing to claim may refuse a claim");
        }
        if (distributor.claimed(member(i)) < before) claimFell = true;
    }

    function claimMany(uint256 from, uint256 length) external {
        if (_leaves.length == 0) return;
        uint256 first = from % MEMBERS;
        uint256 count = within(length, 1, MEMBERS - first);
        AccountLeaf[] memory leaves = new AccountLeaf[](count);
        for (uint256 i; i < count; ++i) {
            leaves[i] = _leaves[first + i];
            _paid(first + i, granted[first + i] - paidOut[first + i]);
        }
        distributor.claimMany(leaves, rangeProofOf(_levels, first, count), _levels.length - 1);
    }

    function send(uint256 from, uint256 to, uint256 amount) external {
        address sender = member(from);
        amount = within(amount, 0, credit.balanceOf(sender));
        vm.prank(sender);
        require(credit.transfer(member(to), amount));
    }

    function pay(uint256 from, uint256 to, uint256 amount) external {
        address payer = member(from);
        uint256 balance = credit.balanceOf(payer);
        if (balance < 2 || member(to) == payer) return;
        amount = within(amount, 2, balance);
        vm.prank(payer);
        payments.pay(member(to), amount, bytes32(amount));
    }

    function giveToThePool(uint256 from, uint256 amount) external {
        address giver = member(from);
        amount = within(amount, 0, credit.balanceOf(giver));
        vm.prank(giver);
        require(credit.transfer(address(feePool), amount));
    }

    function burn(uint256 from, uint256 amount) external {
        address holder = member(from);
        amount = within(amount, 0, credit.balanceOf(holder));
        vm.prank(holder);
        credit.burn(amount);
        burned += amount;
    }

    function _paid(uint256 i, uint256 minted) private {
        paidOut[i] += minted;
        claimedTotal += minted;
    }

    /* CHECKS */

    function checkSupply() external view {
        equal(credit.totalSupply(), claimedTotal - burned, "supply = claims - burns");
        uint256 balances = credit.balanceOf(address(feePool));
        for (uint256 i; i < MEMBERS; ++i) {
            balances += credit.balanceOf(member(i));
        }
        equal(balances, credit.totalSupply(), "sum of balances = supply");
        equal(credit.balanceOf(address(payments)), 0, "payments hold nothing");
    }

    function checkClaims() external view {
        isTrue(!claimFell, "a claimed amount never falls");
        atMost(claimedTotal, grantedTotal, "claims");
        for (uint256 i; i < MEMBERS; ++i) {
            equal(distributor.claimed(member(i)), paidOut[i], "claimed by a member");
            atMost(paidOut[i], granted[i], "paid to a member");
        }
    }

    function checkFees() external {
        uint256 booked = feePool.depositors() + feePool.bonus() + feePool.reserve();
        uint256 collected = feePool.sync();
        equal(booked + collected, credit.balanceOf(address(feePool)), "booked and new = balance");
        booked = feePool.depositors() + feePool.bonus() + feePool.reserve();
        equal(booked, credit.balanceOf(address(feePool)), "sum of the pool's accounts = balance");
    }

    function checkBonds() external view {
        uint256 owed = oracle.pending().bond + oracle.withdrawableBond(proposer) + oracle.withdrawableBond(stranger);
        equal(address(oracle).balance, owed, "wei held = bonds owed");
        equal(address(oracle).balance, heldBonds - destroyedBonds, "wei held = posted - paid - burned");
    }
}

/// @title InvariantsTest: what must hold after any sequence of steps
contract InvariantsTest {
    bool public constant IS_TEST = true;

    Clerk private _clerk;

    function setUp() public {
        _clerk = new Clerk();
    }

    /// @notice forge calls only the clerk's steps.
    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory steps = new bytes4[](9);
        steps[0] = Clerk.proposeEpoch.selector;
        steps[1] = Clerk.finaliseEpoch.selector;
        steps[2] = Clerk.voidEpoch.selector;
        steps[3] = Clerk.withdrawBond.selector;
        steps[4] = Clerk.claim.selector;
        steps[5] = Clerk.claimMany.selector;
        steps[6] = Clerk.send.selector;
        steps[7] = Clerk.pay.selector;
        steps[8] = Clerk.burn.selector;
        targets = new FuzzSelector[](2);
        targets[0] = FuzzSelector(address(_clerk), steps);
        bytes4[] memory more = new bytes4[](1);
        more[0] = Clerk.giveToThePool.selector;
        targets[1] = FuzzSelector(address(_clerk), more);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// @notice forge calls only the clerk.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_clerk);
    }

    function invariant_SupplyIsClaimsLessBurns() external view {
        _clerk.checkSupply();
    }

    function invariant_ClaimsStayWithinGrants() external view {
        _clerk.checkClaims();
    }

    function invariant_FeePoolAccountsAreItsBalance() external {
        _clerk.checkFees();
    }

    function invariant_OracleHoldsTheBondsItOwes() external view {
        _clerk.checkBonds();
    }
}
