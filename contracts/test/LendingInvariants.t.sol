// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {PledgedLoan, PoolBooks, StandingLoan} from "../interfaces/ICreditLending.sol";
import {AccountLeaf} from "../libraries/EpochTree.sol";
import {LendingSystem} from "./LendingSystem.sol";

/// @title PoolClerk: does everything anybody can do with the pool, at random, and keeps its own books
/// @dev Standings and claims are those of one epoch after another; every step is checked against the share's price.
contract PoolClerk is LendingSystem {
    uint256 private constant MEMBERS = 4;
    uint64 private constant STANDING = 1e9;

    uint256[] private _receipts;

    /// @dev Not in the constructor: with all of the clerk around it, deploying there takes more stack than there is.
    function open() external {
        deployLending();
        for (uint256 i; i < MEMBERS; ++i) {
            fund(member(i), 1e15);
        }
        newEpoch(0);
    }

    function member(uint256 i) public pure returns (address) {
        // Safe cast because the sum is small.
        // forge-lint: disable-next-line(unsafe-typecast)
        return address(uint160(0x2000 + i % MEMBERS));
    }

    /// @dev A share of the pool's assets is never worth less after a step, unless the step has written a debt off.
    modifier keepsThePrice() {
        (uint256 assets, uint256 shares) = _price();
        _;
        (uint256 assetsAfter, uint256 sharesAfter) = _price();
        atMost(assets * sharesAfter, assetsAfter * shares, "price of a share");
    }

    /* STEPS */

    function pass(uint32 duration) external keepsThePrice {
        wait(within(duration, 1, 60 days));
    }

    function jump(uint8 seed) external keepsThePrice {
        if (seed % 8 == 0) wait(365 days);
    }

    function deposit(uint256 seed, uint64 amount) external keepsThePrice {
        vm.prank(member(seed));
        lending.deposit(within(amount, 0, 1e10), member(seed));
    }

    function mint(uint256 seed, uint64 amount) external keepsThePrice {
        uint256 shares = lending.convertToShares(within(amount, 0, 1e10));
        vm.prank(member(seed));
        lending.mint(shares, member(seed));
    }

    function withdraw(uint256 seed, uint256 part) external keepsThePrice {
        address owner = member(seed);
        uint256 amount = within(part, 0, lending.maxWithdraw(owner));
        vm.prank(owner);
        lending.withdraw(amount, owner, owner);
    }

    function redeem(uint256 seed, uint256 part) external keepsThePrice {
        address owner = member(seed);
        uint256 most = lending.maxRedeem(owner);
        uint256 shares = part % 4 == 0 ? most : within(part, 0, most);
        vm.prank(owner);
        lending.redeem(shares, owner, owner);
    }

    function give(uint256 seed, uint64 amount) external keepsThePrice {
        vm.prank(member(seed));
        require(credit.transfer(address(lending), within(amount, 0, 1e9)));
    }

    function payFees() external keepsThePrice {
        lending.payFees();
    }

    function pledgeAndBorrow(uint256 seed, uint64 value, uint8 term, uint16 part) external keepsThePrice {
        address owner = member(seed);
        if (_receipts.length == 30) return;
        uint256 id = receiptOf(owner, within(value, 25_000, 1e10), term % 4);
        _receipts.push(id);
        uint256 amount = timeBank.exitValueOf(id) * within(part, 5_100, 9_000) / 10_000;
        bool enough = amount <= bookedCash();
        vm.prank(owner);
        if (enough) lending.pledgeAndBorrow(id, amount, owner);
        else lending.pledge(id);
    }

    function borrow(uint256 seed, uint256 part) external keepsThePrice {
        uint256 id = _anyReceipt(seed);
        address owner = lending.pledgedLoan(id).borrower;
        uint256 limit = id == 0 || owner == address(0) ? 0 : timeBank.exitValueOf(id) * 9_000 / 10_000;
        uint256 debt = lending.debtOf(id);
        if (limit < debt + 10_001) return;
        uint256 amount = within(part, 10_000, limit - debt - 1);
        if (amount > bookedCash()) return;
        vm.prank(owner);
        lending.borrow(id, amount, owner);
    }

    function repay(uint256 seed, uint256 payer, uint256 part) external keepsThePrice {
        uint256 id = _anyReceipt(seed);
        uint256 debt = lending.debtOf(id);
        if (lending.pledgedLoan(id).debtShares == 0) return;
        fund(member(payer), debt);
        vm.prank(member(payer));
        lending.repay(id, part % 3 == 0 ? type(uint256).max : within(part, 1, debt));
    }

    function release(uint256 seed) external keepsThePrice {
        uint256 id = _anyReceipt(seed);
        PledgedLoan memory loan = lending.pledgedLoan(id);
        if (loan.borrower == address(0) || loan.debtShares != 0) return;
        vm.prank(loan.borrower);
        lending.release(id);
    }

    function liquidate(uint256 seed) external {
        uint256 id = _anyReceipt(seed);
        uint256 debt = lending.debtOf(id);
        if (lending.pledgedLoan(id).debtShares == 0) return;
        uint256 value = timeBank.exitValueOf(id);
        if (debt <= value * 9_500 / 10_000) return;
        (uint256 assets, uint256 shares) = _price();
        vm.prank(liquidator);
        lending.liquidate(id);
        (uint256 assetsAfter,) = _price();
        if (value - value * 200 / 10_000 >= debt) atMost(assets, assetsAfter, "assets without a shortfall");
        equal(lending.totalSupply() + 1e6, shares, "shares");
    }

    /// @dev Everybody gets the standing anew and something to claim.
    function newEpoch(uint64 grant) public keepsThePrice {
        address[] memory accounts = new address[](MEMBERS);
        uint64[] memory standings = new uint64[](MEMBERS);
        for (uint256 i; i < MEMBERS; ++i) {
            (accounts[i], standings[i]) = (member(i), STANDING);
        }
        finaliseStandings(accounts, standings, grant % 1e8);
    }

    function claim(uint256 seed) external keepsThePrice {
        uint256 i = seed % MEMBERS;
        if (leaves[i].cumulativeMint > distributor.claimed(member(i))) claimOf(i);
    }

    function borrowOnStanding(uint256 seed, uint256 part) external keepsThePrice {
        uint256 i = seed % MEMBERS;
        StandingLoan memory loan = standingOf(member(i));
        if (loan.dueAt != 0 && vm.getBlockTimestamp() >= loan.dueAt) return;
        uint256 debt = lending.standingDebtOf(member(i));
        uint256 most = lending.standingLimit(STANDING);
        uint256 cap = lending.accruedBooks().capBase / 5;
        uint256 unsecured = _unsecured();
        if (cap < unsecured + 10_010 || most < debt + 10_010) return;
        most = most - debt < cap - unsecured ? most - debt : cap - unsecured;
        uint256 amount = within(part, 10_000, most - 6);
        if (amount > bookedCash()) return;
        AccountLeaf memory leaf = leaves[i];
        bytes32[] memory proof = proofOf(levels, i);
        vm.prank(member(i));
        lending.borrowOnStanding(leaf, proof, amount, member(i));
    }

    function repayStanding(uint256 seed, uint256 payer, uint256 part) external keepsThePrice {
        address owing = member(seed);
        uint256 debt = lending.standingDebtOf(owing);
        if (debt == 0) return;
        fund(member(payer), debt);
        vm.prank(member(payer));
        lending.repayStanding(owing, part % 3 == 0 ? type(uint256).max : within(part, 1, debt));
    }

    function writeOff(uint256 seed) external {
        StandingLoan memory loan = standingOf(member(seed));
        if (loan.debtShares == 0 || vm.getBlockTimestamp() < loan.dueAt + 7 days) return;
        uint256 debt = lending.standingDebtOf(member(seed));
        uint256 principal = loan.principal;
        (uint256 assets,) = _price();
        lending.writeOff(member(seed));
        loan = standingOf(member(seed));
        atMost(loan.lostByReserve, principal, "lost by the reserve");
        equal(loan.lostByPool + loan.lostByReserve, debt, "written off");
        (uint256 assetsAfter,) = _price();
        atMost(assets, assetsAfter + loan.lostByPool, "assets and the pool's loss");
    }

    function _price() private view returns (uint256 assets, uint256 shares) {
        return (lending.totalAssets() + 1, lending.totalSupply() + 1e6);
    }

    function _unsecured() private view returns (uint256 debt) {
        for (uint256 i; i < MEMBERS; ++i) {
            if (standingOf(member(i)).debtShares != 0) debt += lending.standingDebtOf(member(i));
        }
    }

    function _anyReceipt(uint256 seed) private view returns (uint256) {
        return _receipts.length == 0 ? 0 : _receipts[seed % _receipts.length];
    }

    /* CHECKS */

    function checkBooks() external view {
        PoolBooks memory books = lending.accruedBooks();
        equal(books.cash + books.debt, lending.totalAssets() + books.feesOwed, "cash + debt = assets + fees owed");
        atMost(books.cash, credit.balanceOf(address(lending)), "cash");
        atMost(books.capBase, lending.totalAssets(), "base of the cap");
        if (books.debtShares == 0) equal(books.debt, 0, "debt nobody owes");
    }

    function checkLoans() external view {
        PoolBooks memory books = lending.accruedBooks();
        uint256 shares;
        uint256 owed;
        for (uint256 i; i < MEMBERS; ++i) {
            StandingLoan memory loan = standingOf(member(i));
            shares += loan.debtShares;
            if (loan.debtShares != 0) owed += lending.standingDebtOf(member(i));
            else equal(loan.principal, 0, "principal of no debt");
            bool left = loan.debtShares + loan.lostByPool + loan.lostByReserve != 0;
            isTrue(left == (loan.dueAt != 0), "a loan on standing is there while something is left");
            equal(distributor.creditorOf(member(i)), left ? address(lending) : address(0), "creditor of a member");
        }
        equal(shares, lending.unsecuredShares(), "shares on standing");
        for (uint256 i; i < _receipts.length; ++i) {
            shares += lending.pledgedLoan(_receipts[i]).debtShares;
            owed += lending.debtOf(_receipts[i]);
        }
        equal(shares, books.debtShares, "shares of all loans");
        atMost(owed, books.debt + MEMBERS + _receipts.length, "what all loans owe");
    }

    function checkPledges() external view {
        uint256 held;
        for (uint256 i; i < _receipts.length; ++i) {
            PledgedLoan memory loan = lending.pledgedLoan(_receipts[i]);
            if (loan.borrower == address(0)) {
                equal(loan.debtShares, 0, "shares without a borrower");
                continue;
            }
            equal(timeBank.ownerOf(_receipts[i]), address(lending), "owner of a pledged receipt");
            ++held;
        }
        equal(timeBank.balanceOf(address(lending)), held, "receipts held = receipts pledged");
    }

    function checkSupply() external view {
        uint256 shares;
        for (uint256 i; i < MEMBERS; ++i) {
            shares += lending.balanceOf(member(i));
        }
        equal(shares, lending.totalSupply(), "sum of shares");
    }

    /// @dev Once everything is repaid, nothing is left that a supplier could not get out. Stays undone.
    function settleAll() external {
        for (uint256 i; i < MEMBERS; ++i) {
            if (lending.standingDebtOf(member(i)) != 0) {
                fund(supplier, lending.standingDebtOf(member(i)));
                vm.prank(supplier);
                lending.repayStanding(member(i), type(uint256).max);
            }
        }
        for (uint256 i; i < _receipts.length; ++i) {
            if (lending.pledgedLoan(_receipts[i]).debtShares == 0) continue;
            fund(supplier, lending.debtOf(_receipts[i]));
            vm.prank(supplier);
            lending.repay(_receipts[i], type(uint256).max);
        }
        for (uint256 i; i < MEMBERS; ++i) {
            uint256 shares = lending.balanceOf(member(i));
            uint256 worth = lending.convertToAssets(shares);
            vm.prank(member(i));
            equal(lending.redeem(shares, member(i), member(i)), worth, "what a supplier gets out");
        }
        lending.payFees();
        equal(lending.books().feesOwed, 0, "fees owed");
        equal(credit.balanceOf(address(lending)), lending.books().cash, "balance");
        revert Settled();
    }

    error Settled();
}

/// @title LendingInvariantsTest: what must hold after any sequence of steps
contract LendingInvariantsTest {
    bool public constant IS_TEST = true;

    PoolClerk private _clerk;

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    error NotSettled(bytes reason);

    function setUp() public {
        _clerk = new PoolClerk();
        _clerk.open();
    }

    /// @notice forge calls only the clerk's steps.
    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory steps = new bytes4[](18);
        steps[0] = PoolClerk.pass.selector;
        steps[1] = PoolClerk.jump.selector;
        steps[2] = PoolClerk.deposit.selector;
        steps[3] = PoolClerk.mint.selector;
        steps[4] = PoolClerk.withdraw.selector;
        steps[5] = PoolClerk.redeem.selector;
        steps[6] = PoolClerk.give.selector;
        steps[7] = PoolClerk.payFees.selector;
        steps[8] = PoolClerk.pledgeAndBorrow.selector;
        steps[9] = PoolClerk.borrow.selector;
        steps[10] = PoolClerk.repay.selector;
        steps[11] = PoolClerk.release.selector;
        steps[12] = PoolClerk.liquidate.selector;
        steps[13] = PoolClerk.newEpoch.selector;
        steps[14] = PoolClerk.claim.selector;
        steps[15] = PoolClerk.borrowOnStanding.selector;
        steps[16] = PoolClerk.repayStanding.selector;
        steps[17] = PoolClerk.writeOff.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(_clerk), steps);
    }

    /// @notice forge calls only the clerk.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_clerk);
    }

    function invariant_CashAndDebtAreAssetsAndFeesOwed() external view {
        _clerk.checkBooks();
    }

    function invariant_LoansAreTheDebt() external view {
        _clerk.checkLoans();
    }

    function invariant_PledgedReceiptsAreHeldAndRecorded() external view {
        _clerk.checkPledges();
    }

    function invariant_SharesAreTheSuppliers() external view {
        _clerk.checkSupply();
    }

    function invariant_OnceAllIsRepaidEverySupplierGetsOutWhatIsTheirs() external {
        try _clerk.settleAll() {}
        catch (bytes memory reason) {
            // The clerk undoes it by this one error: the walk goes on from where it was.
            bytes memory settled = abi.encodeWithSelector(PoolClerk.Settled.selector);
            require(keccak256(reason) == keccak256(settled), NotSettled(reason));
        }
    }
}
