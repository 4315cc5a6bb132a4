// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {LendingSystem} from "./LendingSystem.sol";

/// @title Erc4626RulesTest: what the published property suites ask of any vault, here of the pool in any state
/// @dev
/// the rules
/// ├── no way there and back gains: eight orders of two operations
/// ├── previews are what happens, to the unit
/// ├── the limits can be used to the full, and not by one more
/// ├── conversions do not depend on who asks, and never gain there and back
/// ├── nothing a donation or a first share could do moves a price
/// ├── allowances are spent in shares
/// └── zero changes nothing
contract Erc4626RulesTest is LendingSystem {
    address private member = address(0x3e3);
    address private other = address(0x07e2);

    function setUp() public {
        deployLending();
    }

    /// @dev Any state: supply, a part of it lent, some time, the member with shares and credits of its own.
    struct State {
        uint64 supplied;
        uint64 lent;
        uint32 waited;
        uint64 held;
    }

    modifier inAnyState(State memory state) {
        _enter(state);
        _;
    }

    function _enter(State memory state) private {
        uint256 supplied = within(state.supplied, 0, 1e15);
        uint256 held = within(state.held, 0, 1e15);
        supply(supplied);
        fund(member, 4e15);
        fund(other, 4e15);
        vm.prank(member);
        lending.deposit(held, member);
        uint256 lent = within(state.lent, 0, supplied + held);
        if (lent >= 10_000) loanOf(lent * 10 / 9 + 10_000, lent);
        wait(state.waited % 730 days);
    }

    /* THERE AND BACK */

    function testFuzz_DepositAndRedeemNeverGains(State memory state, uint64 seed) public inAnyState(state) {
        uint256 assets = within(seed, 0, 1e15);
        uint256 shares = _deposit(assets);
        atMost(_redeem(shares), assets, "assets back");
    }

    function testFuzz_DepositAndWithdrawNeverGains(State memory state, uint64 seed) public inAnyState(state) {
        uint256 assets = within(seed, 0, 1e15);
        uint256 shares = _deposit(assets);
        // What its own rounding keeps may not be there: then less is taken.
        uint256 most = lending.maxWithdraw(member);
        uint256 spent = _withdraw(assets < most ? assets : most);
        if (assets <= most) atMost(shares, spent, "shares given for shares");
    }

    function testFuzz_MintAndRedeemNeverGains(State memory state, uint80 seed) public inAnyState(state) {
        uint256 shares = within(seed, 0, lending.convertToShares(1e15));
        uint256 cost = _mint(shares);
        atMost(_redeem(shares), cost, "assets back");
    }

    function testFuzz_MintAndWithdrawNeverGains(State memory state, uint80 seed) public inAnyState(state) {
        uint256 shares = within(seed, 0, lending.convertToShares(1e15));
        uint256 cost = _mint(shares);
        uint256 most = lending.maxWithdraw(member);
        if (cost <= most) atMost(shares, _withdraw(cost), "shares given for shares");
    }

    function testFuzz_RedeemAndDepositNeverGains(State memory state, uint256 seed) public inAnyState(state) {
        uint256 shares = within(seed, 0, lending.maxRedeem(member));
        atMost(_deposit(_redeem(shares)), shares, "shares back");
    }

    function testFuzz_RedeemAndMintNeverGains(State memory state, uint256 seed) public inAnyState(state) {
        uint256 shares = within(seed, 0, lending.maxRedeem(member));
        uint256 assets = _redeem(shares);
        atMost(assets, _mint(shares), "assets for the same shares");
    }

    function testFuzz_WithdrawAndDepositNeverGains(State memory state, uint256 seed) public inAnyState(state) {
        uint256 assets = within(seed, 0, lending.maxWithdraw(member));
        uint256 shares = _withdraw(assets);
        atMost(_deposit(assets), shares, "shares back");
    }

    function testFuzz_WithdrawAndMintNeverGains(State memory state, uint256 seed) public inAnyState(state) {
        uint256 assets = within(seed, 0, lending.maxWithdraw(member));
        uint256 shares = _withdraw(assets);
        atMost(assets, _mint(shares), "assets for the same shares");
    }

    /* PREVIEWS */

    function testFuzz_PreviewsAreWhatHappens(State memory state, uint64 seed, uint256 part) public inAnyState(state) {
        uint256 assets = within(seed, 0, 1e15);
        uint256 expected = lending.previewDeposit(assets);
        equal(_deposit(assets), expected, "shares of a deposit");
        expected = lending.previewMint(expected);
        equal(_mint(lending.previewDeposit(assets)), expected, "cost of a mint");
        assets = within(part, 0, lending.maxWithdraw(member));
        expected = lending.previewWithdraw(assets);
        equal(_withdraw(assets), expected, "shares of a withdrawal");
        uint256 shares = within(part, 0, lending.maxRedeem(member));
        expected = lending.previewRedeem(shares);
        equal(_redeem(shares), expected, "assets of a redemption");
    }

    function testFuzz_PreviewsRoundAgainstTheCaller(State memory state, uint64 assets, uint80 shares)
        public
        inAnyState(state)
    {
        atMost(lending.previewDeposit(assets), lending.convertToShares(assets), "shares of a deposit");
        atMost(lending.convertToShares(assets), lending.previewWithdraw(assets), "shares of a withdrawal");
        atMost(lending.previewRedeem(shares), lending.convertToAssets(shares), "assets of a redemption");
        atMost(lending.convertToAssets(shares), lending.previewMint(shares), "cost of a mint");
    }

    /* LIMITS */

    function testFuzz_WhatCanBeWithdrawnCanBeWithdrawn(State memory state) public inAnyState(state) {
        uint256 most = lending.maxWithdraw(member);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxWithdraw.selector, member, most + 1, most));
        _withdraw(most + 1);
        _withdraw(most);
        atMost(lending.maxWithdraw(member), 1, "left to withdraw");
    }

    function testFuzz_WhatCanBeRedeemedCanBeRedeemed(State memory state) public inAnyState(state) {
        uint256 most = lending.maxRedeem(member);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxRedeem.selector, member, most + 1, most));
        _redeem(most + 1);
        _redeem(most);
        atMost(lending.maxWithdraw(member), 1, "left to withdraw");
    }

    function testFuzz_WhatCanBeDepositedCanBeDeposited(State memory state) public inAnyState(state) {
        uint256 most = lending.maxDeposit(member);
        fund(member, most);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxDeposit.selector, member, most + 1, most));
        _deposit(most + 1);
        _deposit(most);
        equal(lending.maxDeposit(member), 0, "room left");
    }

    function testFuzz_WhatCanBeMintedCanBeMinted(State memory state) public inAnyState(state) {
        fund(member, type(uint64).max);
        uint256 most = lending.maxMint(member);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxMint.selector, member, most + 1, most));
        _mint(most + 1);
        _mint(most);
    }

    function testFuzz_LimitsDoNotDependOnWhoAsks(State memory state, address asker) public inAnyState(state) {
        uint256 withdrawable = lending.maxWithdraw(member);
        uint256 redeemable = lending.maxRedeem(member);
        vm.prank(asker);
        equal(lending.maxWithdraw(member), withdrawable, "withdrawable");
        vm.prank(asker);
        equal(lending.maxRedeem(member), redeemable, "redeemable");
        equal(lending.maxDeposit(asker), lending.maxDeposit(member), "room");
        equal(lending.maxMint(asker), lending.maxMint(member), "room in shares");
    }

    function test_WithEverythingLentOutNothingCanBeWithdrawn() public {
        supply(1e9);
        loanOf(2e9, 1e9);
        equal(lending.maxWithdraw(supplier), 0, "withdrawable");
        equal(lending.maxRedeem(supplier), 0, "redeemable");
        vm.prank(supplier);
        equal(lending.withdraw(0, supplier, supplier), 0, "shares of nothing");
        vm.prank(supplier);
        equal(lending.redeem(0, supplier, supplier), 0, "assets of nothing");
    }

    /* CONVERSIONS */

    function testFuzz_ConversionsDoNotDependOnWhoAsks(State memory state, address asker, uint64 assets, uint80 shares)
        public
        inAnyState(state)
    {
        uint256 inShares = lending.convertToShares(assets);
        uint256 inAssets = lending.convertToAssets(shares);
        vm.prank(asker);
        equal(lending.convertToShares(assets), inShares, "shares");
        vm.prank(asker);
        equal(lending.convertToAssets(shares), inAssets, "assets");
        atMost(lending.convertToAssets(inShares), assets, "assets there and back");
        atMost(lending.convertToShares(inAssets), shares, "shares there and back");
    }

    function testFuzz_TheWholeIsNotLessThanItsParts(State memory state) public inAnyState(state) {
        uint256 parts =
            lending.convertToAssets(lending.balanceOf(member)) + lending.convertToAssets(lending.balanceOf(supplier));
        atMost(parts, lending.totalAssets(), "what shares are worth together");
    }

    function test_TheAssetIsTheCredit() public view {
        equal(lending.asset(), address(credit), "asset");
        equal(lending.decimals(), 12, "decimals");
        equal(keccak256(bytes(lending.name())), keccak256("Lent Attention Credit"), "name");
        equal(keccak256(bytes(lending.symbol())), keccak256("lATT"), "symbol");
    }

    /* ATTACKS ON THE PRICE */

    function testFuzz_NoFirstShareAndNoDonationTakesFromTheNext(uint64 first, uint64 donation, uint64 amount) public {
        uint256 small = within(first, 1, 1e6);
        uint256 given = within(donation, 0, 1e15);
        uint256 assets = within(amount, 1, 1e15);
        fund(other, small + given);
        vm.prank(other);
        lending.deposit(small, other);
        vm.prank(other);
        require(credit.transfer(address(lending), given));

        fund(member, assets);
        uint256 shares = _deposit(assets);
        equal(shares, assets * 1e6, "shares");
        equal(_redeem(shares), assets, "assets back");
    }

    function testFuzz_InterestOfAFirstShareTakesAtMostDust(uint64 seed, uint32 waited, uint64 amount) public {
        // The attacker is supplier and borrower at once and pays itself interest to make shares dear.
        uint256 whole = within(seed, 10_000, 1e12);
        supply(whole);
        uint256 id = loanOf(2 * whole, whole);
        wait(waited % 365 days);
        uint256 owed = lending.debtOf(id);
        fund(borrower, owed);
        vm.prank(borrower);
        lending.repay(id, owed);
        uint256 most = lending.maxRedeem(supplier);
        vm.prank(supplier);
        lending.redeem(most, supplier, supplier);

        uint256 assets = within(amount, 1, 1e15);
        fund(member, assets);
        // A share of the suppliers' assets per share and one more: with the offset of 6 that is a millionth of them.
        uint256 dust = lending.totalAssets() / 1e6 + 2;
        uint256 back = _redeem(_deposit(assets));
        atMost(assets, back + dust, "assets there and back");
    }

    function testFuzz_DonationsMoveNoPrice(State memory state, uint64 donation) public inAnyState(state) {
        uint256 price = lending.convertToAssets(1e24);
        uint256 assets = lending.totalAssets();
        uint256 given = within(donation, 0, 1e15);
        vm.prank(other);
        require(credit.transfer(address(lending), given));
        equal(lending.convertToAssets(1e24), price, "price");
        equal(lending.totalAssets(), assets, "assets");
    }

    /* ALLOWANCES */

    function testFuzz_AnotherSpendsAnAllowanceOfShares(State memory state, uint256 part) public inAnyState(state) {
        uint256 shares = within(part, 0, lending.maxRedeem(member));
        vm.prank(member);
        require(lending.approve(other, shares));
        if (shares != 0) {
            vm.expectRevert(
                abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, stranger, 0, shares)
            );
            vm.prank(stranger);
            lending.redeem(shares, stranger, member);
        }
        uint256 before = credit.balanceOf(other);
        vm.prank(other);
        uint256 assets = lending.redeem(shares, other, member);
        equal(credit.balanceOf(other), before + assets, "received");
        equal(lending.allowance(member, other), 0, "allowance left");
    }

    function testFuzz_AnUnlimitedAllowanceStays(State memory state, uint256 part) public inAnyState(state) {
        uint256 assets = within(part, 0, lending.maxWithdraw(member));
        vm.prank(member);
        require(lending.approve(other, type(uint256).max));
        vm.prank(other);
        lending.withdraw(assets, other, member);
        equal(lending.allowance(member, other), type(uint256).max, "allowance left");
    }

    function testFuzz_WithdrawingSpendsSharesOfTheAllowance(State memory state, uint256 part) public inAnyState(state) {
        uint256 assets = within(part, 0, lending.maxWithdraw(member));
        uint256 shares = lending.previewWithdraw(assets);
        vm.prank(member);
        require(lending.approve(other, shares));
        vm.prank(other);
        equal(lending.withdraw(assets, other, member), shares, "shares");
        equal(lending.allowance(member, other), 0, "allowance left");
    }

    /* WORDS AND ZEROS */

    function testFuzz_OperationsSayWhatTheyDid(State memory state, uint64 seed) public inAnyState(state) {
        lending.accrue();
        uint256 assets = within(seed, 0, 1e15);
        uint256 shares = lending.previewDeposit(assets);
        vm.expectEmit();
        emit IERC20.Transfer(address(0), other, shares);
        vm.expectEmit();
        emit IERC4626.Deposit(member, other, assets, shares);
        vm.prank(member);
        lending.deposit(assets, other);

        assets = lending.maxWithdraw(other);
        shares = lending.previewWithdraw(assets);
        vm.expectEmit();
        emit IERC20.Transfer(other, address(0), shares);
        vm.expectEmit();
        emit IERC4626.Withdraw(other, member, other, assets, shares);
        vm.prank(other);
        lending.withdraw(assets, member, other);
    }

    function testFuzz_ZeroChangesNothing(State memory state) public inAnyState(state) {
        uint256 assets = lending.totalAssets();
        uint256 shares = lending.totalSupply();
        equal(_deposit(0), 0, "shares of nothing");
        equal(_mint(0), 0, "cost of nothing");
        equal(_withdraw(0), 0, "shares of nothing");
        equal(_redeem(0), 0, "assets of nothing");
        equal(lending.totalAssets(), assets, "assets");
        equal(lending.totalSupply(), shares, "shares");
    }

    function test_RevertWhen_TheReceiverIsNobody() public {
        fund(member, 1_000);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, address(0)));
        vm.prank(member);
        lending.deposit(1_000, address(0));
        uint256 shares = _deposit(1_000);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, address(0)));
        vm.prank(member);
        lending.redeem(shares, address(0), member);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidApprover.selector, address(0)));
        vm.prank(member);
        lending.redeem(0, member, address(0));
    }

    function test_RevertWhen_TheSupplierHasNothing() public {
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(lending), 0, 1_000)
        );
        vm.prank(stranger);
        lending.deposit(1_000, stranger);
    }

    function _deposit(uint256 assets) private returns (uint256 shares) {
        vm.prank(member);
        return lending.deposit(assets, member);
    }

    function _mint(uint256 shares) private returns (uint256 assets) {
        vm.prank(member);
        return lending.mint(shares, member);
    }

    function _withdraw(uint256 assets) private returns (uint256 shares) {
        vm.prank(member);
        return lending.withdraw(assets, member, member);
    }

    function _redeem(uint256 shares) private returns (uint256 assets) {
        vm.prank(member);
        return lending.redeem(shares, member, member);
    }
}
