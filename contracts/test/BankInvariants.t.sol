// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {BankBooks, ITimeBank, Position} from "../interfaces/ITimeBank.sol";
import {System} from "./System.sol";

/// @title Teller: does everything anybody can do with the bank, at random, and keeps its own books
contract Teller is System {
    uint256 private constant MEMBERS = 5;
    uint256 private constant MAX_RECEIPTS = 40;

    /// @notice Credits that were sent to the bank and not collected yet.
    uint256 public uncollected;

    /// @notice Exit value of each receipt at the last look; 0 after its holder or the fee changed it.
    mapping(uint256 id => uint256) public seenValue;

    error AllClosed();
    error NotClosed(bytes reason);

    constructor() {
        deploySystem();
        setRooms(address(timeBank), address(0x1e9d), address(0x1ea5));
        for (uint256 i; i < MEMBERS; ++i) {
            vm.prank(address(distributor));
            credit.mint(member(i), 1e15);
            vm.prank(member(i));
            credit.approve(address(timeBank), type(uint256).max);
        }
    }

    function member(uint256 i) public pure returns (address) {
        // Safe cast because the sum is small.
        // forge-lint: disable-next-line(unsafe-typecast)
        return address(uint160(0x3000 + i % MEMBERS));
    }

    /* STEPS */

    function deposit(uint256 from, uint256 to, uint256 amount, uint256 term) external {
        uint16 termId = _anyTerm(term);
        uint256 balance = credit.balanceOf(member(from));
        if (_isFull() || balance < 1_000 || !timeBank.termOf(termId).open) return;
        vm.prank(member(from));
        timeBank.deposit(within(amount, 1_000, _sized(amount, balance)), termId, member(to));
    }

    function depositClaim(uint256 to, uint256 amount, uint16 term) external {
        if (_isFull()) return;
        amount = within(amount, 1, 1e10);
        vm.prank(address(distributor));
        credit.mint(address(timeBank), amount);
        vm.prank(address(distributor));
        timeBank.depositClaim(member(to), amount, term);
    }

    function close(uint256 seed) external {
        uint256 id = _anyReceipt(seed);
        if (id == 0) return;
        address owner = timeBank.ownerOf(id);
        uint256 expected = timeBank.exitValueOf(id);
        uint256 before = credit.balanceOf(owner);
        vm.prank(owner);
        equal(timeBank.close(id, owner), expected, "paid");
        equal(credit.balanceOf(owner), before + expected, "received");
    }

    function collectIncome(uint256 seed) external {
        uint256 id = _anyReceipt(seed);
        if (id == 0 || !_isMature(id) || timeBank.incomeOf(id) == 0) return;
        address owner = timeBank.ownerOf(id);
        vm.prank(owner);
        timeBank.collectIncome(id, owner);
        seenValue[id] = 0;
    }

    function rollOver(uint256 seed, uint256 term) external {
        uint256 id = _anyReceipt(seed);
        uint16 termId = _anyTerm(term);
        if (id == 0 || !_isMature(id) || !timeBank.termOf(termId).open) return;
        vm.prank(timeBank.ownerOf(id));
        timeBank.rollOver(id, termId);
        seenValue[id] = 0;
    }

    function lapse(uint256 seed) external {
        uint256 id = _anyReceipt(seed);
        if (id == 0 || !_isMature(id) || timeBank.positionOf(id).termId == DEMAND) return;
        vm.prank(stranger);
        timeBank.lapse(id);
    }

    function giveReceipt(uint256 seed, uint256 to) external {
        uint256 id = _anyReceipt(seed);
        if (id == 0) return;
        address owner = timeBank.ownerOf(id);
        vm.prank(owner);
        timeBank.transferFrom(owner, member(to), id);
    }

    function gift(uint256 from, uint256 amount) external {
        amount = within(amount, 1, _sized(amount, credit.balanceOf(member(from))));
        if (amount > credit.balanceOf(member(from))) return;
        vm.prank(member(from));
        require(credit.transfer(address(timeBank), amount));
        uncollected += amount;
    }

    function payFee(uint256 from, uint256 amount) external {
        amount = within(amount, 0, credit.balanceOf(member(from)) / 1_000);
        vm.prank(member(from));
        require(credit.transfer(address(feePool), amount));
    }

    function collect() public {
        (, uint256 gifts) = timeBank.collect();
        equal(gifts, uncollected, "gifts");
        uncollected = 0;
    }

    function pass(uint256 elapsed, uint256 size) external {
        uint256[4] memory longest = [uint256(15), 1 days, 40 days, 400 days];
        vm.warp(vm.getBlockTimestamp() + within(elapsed, 1, longest[size % 4]));
    }

    function set(uint256 what, uint256 number) external {
        vm.prank(governor);
        // Safe casts because the numbers are within their bounds.
        // forge-lint: disable-start(unsafe-typecast)
        if (what % 3 == 0) timeBank.setTermOpen(uint16(number % 4), number % 8 < 4);
        else if (what % 3 == 1) timeBank.setReleaseTime(uint24(within(number, 1, 90 days)));
        else timeBank.setIncomeFee(uint16(within(number, 0, 2_000)));
        // forge-lint: disable-end(unsafe-typecast)
        if (what % 3 != 2) return;
        for (uint256 id = 1; id < timeBank.books().nextId; ++id) {
            seenValue[id] = 0;
        }
    }

    /* CHECKS */

    function checkHoldings() external view {
        BankBooks memory books = timeBank.books();
        uint256 booked = uint256(books.principal) + books.pending + books.owed;
        equal(
            credit.balanceOf(address(timeBank)),
            booked + uncollected,
            "holdings = principals + pending + owed + gifts to collect"
        );
        uint256 principals;
        uint256 weights;
        uint256 receipts;
        for (uint256 id = 1; id < books.nextId; ++id) {
            if (!_exists(id)) continue;
            Position memory position = timeBank.positionOf(id);
            principals += position.principal;
            weights += uint256(position.principal) * timeBank.termOf(position.termId).multiplierMilli;
        }
        for (uint256 i; i < MEMBERS; ++i) {
            receipts += timeBank.balanceOf(member(i));
        }
        equal(principals, books.principal, "sum of principals");
        equal(weights, books.totalWeight, "sum of weights");
        equal(receipts, _count(), "receipts of all members");
    }

    function checkIncomes() external {
        collect();
        uint256 incomes;
        BankBooks memory books = timeBank.books();
        for (uint256 id = 1; id < books.nextId; ++id) {
            if (_exists(id)) incomes += timeBank.incomeOf(id);
        }
        atMost(incomes, books.owed, "sum of incomes");
    }

    function checkExitValues() external {
        for (uint256 id = 1; id < timeBank.books().nextId; ++id) {
            if (!_exists(id)) continue;
            uint256 value = timeBank.exitValueOf(id);
            atMost(seenValue[id], value, "exit value before");
            seenValue[id] = value;
        }
    }

    function checkEverybodyCanClose() external {
        try this.closeAll() {
            revert NotTrue("closing all must not last");
        } catch (bytes memory reason) {
            if (keccak256(reason) != keccak256(abi.encodeWithSelector(AllClosed.selector))) revert NotClosed(reason);
        }
    }

    /// @notice Closes every deposit, looks at what is left, and takes all of it back.
    function closeAll() external {
        for (uint256 id = 1; id < timeBank.books().nextId; ++id) {
            if (!_exists(id)) continue;
            address owner = timeBank.ownerOf(id);
            uint256 expected = timeBank.exitValueOf(id);
            vm.prank(owner);
            equal(timeBank.close(id, owner), expected, "paid");
        }
        BankBooks memory books = timeBank.books();
        equal(books.totalWeight + uint256(books.principal) + books.owed, 0, "owed to nobody");
        equal(credit.balanceOf(address(timeBank)), books.pending + uncollected, "the rest is pending");
        revert AllClosed();
    }

    function _isMature(uint256 id) private view returns (bool) {
        return timeBank.positionOf(id).maturesAt <= vm.getBlockTimestamp();
    }

    function _isFull() private view returns (bool) {
        return _count() >= MAX_RECEIPTS;
    }

    function _anyTerm(uint256 seed) private pure returns (uint16) {
        // Safe cast because there are four terms.
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint16(seed % 4);
    }

    /// @dev Sums of all sizes, not only huge ones.
    function _sized(uint256 seed, uint256 balance) private pure returns (uint256 most) {
        most = balance / 10 ** (seed >> 128 & 15);
        if (most < 1_000) most = 1_000;
    }

    function _exists(uint256 id) private view returns (bool) {
        try timeBank.ownerOf(id) returns (address) {
            return true;
        } catch {
            return false;
        }
    }

    function _count() private view returns (uint256 count) {
        for (uint256 id = 1; id < timeBank.books().nextId; ++id) {
            if (_exists(id)) ++count;
        }
    }

    /// @dev A receipt that exists, from a random place on; 0 for none.
    function _anyReceipt(uint256 seed) private view returns (uint256) {
        uint256 made = timeBank.books().nextId - 1;
        for (uint256 i; i < made; ++i) {
            uint256 id = 1 + (seed % made + i) % made;
            if (_exists(id)) return id;
        }
        return 0;
    }
}

/// @title BankInvariantsTest: what must hold after any sequence of steps
contract BankInvariantsTest {
    bool public constant IS_TEST = true;

    Teller private _teller;

    function setUp() public {
        _teller = new Teller();
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// @notice forge calls only the teller's steps.
    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory steps = new bytes4[](12);
        steps[0] = Teller.deposit.selector;
        steps[1] = Teller.depositClaim.selector;
        steps[2] = Teller.close.selector;
        steps[3] = Teller.collectIncome.selector;
        steps[4] = Teller.rollOver.selector;
        steps[5] = Teller.lapse.selector;
        steps[6] = Teller.giveReceipt.selector;
        steps[7] = Teller.gift.selector;
        steps[8] = Teller.payFee.selector;
        steps[9] = Teller.collect.selector;
        steps[10] = Teller.pass.selector;
        steps[11] = Teller.set.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(_teller), steps);
    }

    /// @notice forge calls only the teller.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_teller);
    }

    function invariant_HoldingsAreWhatIsBooked() external view {
        _teller.checkHoldings();
    }

    function invariant_IncomesAreOwed() external {
        _teller.checkIncomes();
    }

    function invariant_ExitValuesNeverFall() external {
        _teller.checkExitValues();
    }

    function invariant_EverybodyCanAlwaysClose() external {
        _teller.checkEverybodyCanClose();
    }
}
