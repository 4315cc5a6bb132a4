// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {PoolBooks, StandingLoan} from "../interfaces/ICreditLending.sol";
import {AccountLeaf} from "../libraries/EpochTree.sol";
import {Policy, PolicyHash} from "../libraries/Policy.sol";
import {System} from "./System.sol";

/// @title LendingSystem
/// @notice The system with a pool in use: members with credits and approvals, receipts, standings.
abstract contract LendingSystem is System {
    /// @dev Stands where the lease will: a creditor of claims beside the pool.
    address internal constant OTHER_CREDITOR = address(0x1ea5e);

    /// @dev Half of a standing is left after about 2^28 milliseconds, three days.
    uint64 internal constant DECAY_K = 2 ** 28;

    address internal supplier = address(0x5011);
    address internal borrower = address(0xb0);
    address internal liquidator = address(0x11d);

    /// @dev The latest finalised epoch's leaves and tree.
    AccountLeaf[] internal leaves;
    bytes32[][] internal levels;

    function deployLending() internal {
        deploySystem();
        setRooms(address(timeBank), address(lending), OTHER_CREDITOR);
        putPolicyInForce(1);
        lending.acceptPolicy(PolicyHash.headOf(policy(1)));
    }

    function wait(uint256 duration) internal {
        vm.warp(vm.getBlockTimestamp() + duration);
    }

    /* POLICY */

    function policy(uint32 version) internal pure returns (Policy memory) {
        return policyOf("test", version, DECAY_K);
    }

    function putPolicyInForce(uint32 version) internal {
        setPolicy(policy(version));
    }

    /* MEMBERS */

    /// @dev Credits out of nothing, and approvals for the bank and the pool.
    function fund(address member, uint256 amount) internal {
        vm.prank(address(distributor));
        credit.mint(member, amount);
        vm.prank(member);
        credit.approve(address(lending), type(uint256).max);
        vm.prank(member);
        credit.approve(address(timeBank), type(uint256).max);
    }

    function supply(uint256 amount) internal returns (uint256 shares) {
        fund(supplier, amount);
        vm.prank(supplier);
        return lending.deposit(amount, supplier);
    }

    /// @dev A receipt the pool is approved for.
    function receiptOf(address member, uint256 amount, uint16 termId) internal returns (uint256 id) {
        fund(member, amount);
        vm.prank(member);
        id = timeBank.deposit(amount, termId, member);
        vm.prank(member);
        timeBank.approve(address(lending), id);
    }

    /// @dev A demand deposit of the borrower with a loan on it.
    function loanOf(uint256 value, uint256 amount) internal returns (uint256 id) {
        id = receiptOf(borrower, value, DEMAND);
        vm.prank(borrower);
        lending.pledgeAndBorrow(id, amount, borrower);
    }

    /* STANDINGS */

    /// @dev Finalises an epoch in which these accounts, ascending, have these standings; each may claim `grant`.
    function finaliseStandings(address[] memory accounts, uint64[] memory standings, uint64 grant) internal {
        uint64[] memory minted = new uint64[](accounts.length);
        for (uint256 i; i < accounts.length; ++i) {
            minted[i] = grant;
        }
        AccountLeaf[] memory next = leavesOf(accounts, minted, minted);
        delete leaves;
        for (uint256 i; i < accounts.length; ++i) {
            next[i].standing = standings[i];
            // Safe cast because epochs are few.
            // forge-lint: disable-next-line(unsafe-typecast)
            next[i].cumulativeMint = uint64(distributor.claimed(accounts[i])) + grant;
            leaves.push(next[i]);
        }
        levels = levelsOf(hashesOf(next));
        wait(1);
        // Safe cast because accounts are few.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint32 count = uint32(accounts.length);
        proposeAndFinalise(nextHeader(rootOf(levels), count, grant * count, 0));
    }

    /// @dev Finalises an epoch of the borrower and the supplier, both with this standing.
    function finaliseStanding(uint64 standing, uint64 grant) internal {
        address[] memory accounts = new address[](2);
        (accounts[0], accounts[1]) = (borrower, supplier);
        uint64[] memory standings = new uint64[](2);
        (standings[0], standings[1]) = (standing, standing);
        finaliseStandings(accounts, standings, grant);
    }

    function borrowOnStanding(uint256 amount) internal returns (uint256 shares) {
        AccountLeaf memory leaf = leaves[0];
        bytes32[] memory proof = proofOf(levels, 0);
        vm.prank(borrower);
        return lending.borrowOnStanding(leaf, proof, amount, borrower);
    }

    function claimOf(uint256 index) internal returns (uint256 minted) {
        return distributor.claim(leaves[index], proofOf(levels, index));
    }

    function standingOf(address member) internal view returns (StandingLoan memory) {
        return lending.standingLoan(member);
    }

    function bookedCash() internal view returns (uint256) {
        PoolBooks memory books = lending.books();
        return books.cash;
    }
}
