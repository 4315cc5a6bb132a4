// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IAttentionCredit} from "../interfaces/IAttentionCredit.sol";
import {FeeSplit, IFeePool} from "../interfaces/IFeePool.sol";

/// @title FeePool
/// @notice Created by the distributor, which is the only one that can burn from it.
contract FeePool is IFeePool, AccessManaged {
    using SafeCast for uint256;
    using SafeERC20 for IAttentionCredit;

    /// @dev One slot, read and written once per payment. 72 bits hold 4.7e15 whole credits. The reserve's share of
    /// later fees is what the other two leave.
    struct Books {
        uint72 depositors;
        uint72 bonus;
        uint72 reserve;
        uint16 depositorsBps;
        uint16 bonusBps;
        bool spendersSet;
    }

    /// @dev One whole, in hundredths of a percent.
    uint256 private constant ONE_BPS = 10_000;

    /// @inheritdoc IFeePool
    IAttentionCredit public immutable credit;

    /// @inheritdoc IFeePool
    address public immutable distributor;

    Books private _books;

    /// @inheritdoc IFeePool
    address public timeBank;

    /// @inheritdoc IFeePool
    address public lending;

    /// @inheritdoc IFeePool
    uint256 public spent;

    /// @inheritdoc IFeePool
    mapping(address account => bool) public isSpender;

    constructor(address manager, IAttentionCredit feeCredit, address creditDistributor, FeeSplit memory initialSplit)
        AccessManaged(manager)
    {
        credit = feeCredit;
        distributor = creditDistributor;
        _setSplit(initialSplit);
    }

    /* FEES */

    /// @inheritdoc IFeePool
    function sync() public returns (uint256 collected) {
        collected = _collect();
        if (collected != 0) spent += collected;
    }

    /// @inheritdoc IFeePool
    function recordSpending(uint256 amount) external returns (uint256 collected) {
        require(isSpender[msg.sender], NotSpender(msg.sender));
        collected = _collect();
        // Safe unchecked sum because all credits would have to be spent 2^180 times.
        unchecked {
            spent += amount + collected;
        }
        emit Spent(msg.sender, amount);
    }

    /// @dev Books what has arrived; counting it is the caller's, so that the counter is written once.
    function _collect() private returns (uint256 collected) {
        Books memory books = _books;
        uint256 balance = credit.balanceOf(address(this));
        collected = balance - _booked(books);
        if (collected == 0) return 0;

        uint256 toDepositors = collected * books.depositorsBps / ONE_BPS;
        uint256 toBonus = collected * books.bonusBps / ONE_BPS;
        uint256 toReserve = collected - toDepositors - toBonus;
        // Safe unchecked casts and sums because the accounts are the balance together, which fits.
        balance.toUint72();
        // forge-lint: disable-start(unsafe-typecast)
        unchecked {
            books.depositors += uint72(toDepositors);
            books.bonus += uint72(toBonus);
            books.reserve += uint72(toReserve);
        }
        // forge-lint: disable-end(unsafe-typecast)
        _books = books;

        emit FeesCollected(collected, toDepositors, toBonus, toReserve);
    }

    /// @inheritdoc IFeePool
    function burnPot(uint32 epoch, uint256 amount) external {
        require(msg.sender == distributor, NotDistributor(msg.sender, distributor));
        if (amount == 0) return;
        uint256 available = _books.bonus;
        require(amount <= available, InsufficientBonus(amount, available));

        // Safe unchecked cast because it was as much before.
        // forge-lint: disable-next-line(unsafe-typecast)
        _books.bonus = uint72(available - amount);
        emit PotBurned(epoch, amount);
        credit.burn(amount);
    }

    /* PAYEES */

    /// @inheritdoc IFeePool
    function payDepositors() external returns (uint256 amount) {
        require(msg.sender == timeBank, NotPayee(msg.sender, timeBank));
        sync();
        amount = _books.depositors;
        if (amount == 0) return 0;

        _books.depositors = 0;
        emit DepositorsPaid(amount);
        credit.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IFeePool
    function coverLoss(uint256 loss) external returns (uint256 paid) {
        require(msg.sender == lending, NotPayee(msg.sender, lending));
        sync();
        uint256 available = _books.reserve;
        paid = Math.min(loss, available);

        // Safe unchecked cast because it was as much before.
        // forge-lint: disable-next-line(unsafe-typecast)
        _books.reserve = uint72(available - paid);
        emit LossCovered(loss, paid);
        if (paid != 0) credit.safeTransfer(msg.sender, paid);
    }

    /// @inheritdoc IFeePool
    function restoreReserve(uint256 amount) external {
        require(msg.sender == lending, NotPayee(msg.sender, lending));
        Books memory books = _books;
        uint256 arrived = credit.balanceOf(address(this)) - _booked(books);
        require(amount <= arrived, NothingRestored(amount, arrived));

        _books.reserve = (books.reserve + amount).toUint72();
        emit ReserveRestored(amount);
    }

    /* SETTINGS */

    /// @inheritdoc IFeePool
    function setPayees(address newTimeBank, address newLending) external restricted {
        require(timeBank == address(0), PayeesFixed(timeBank, lending));
        require(newTimeBank != address(0) && newLending != address(0), PayeesFixed(newTimeBank, newLending));

        timeBank = newTimeBank;
        lending = newLending;
        emit PayeesSet(newTimeBank, newLending);
    }

    /// @inheritdoc IFeePool
    function setSpenders(address[] calldata newSpenders) external restricted {
        require(!_books.spendersSet && newSpenders.length != 0, SpendersFixed(newSpenders.length));

        _books.spendersSet = true;
        for (uint256 i; i < newSpenders.length; ++i) {
            isSpender[newSpenders[i]] = true;
        }
        emit SpendersSet(newSpenders);
    }

    /// @inheritdoc IFeePool
    function setSplit(FeeSplit calldata newSplit) external restricted {
        sync();
        _setSplit(newSplit);
    }

    function _setSplit(FeeSplit memory newSplit) private {
        uint256 sum = uint256(newSplit.depositorsBps) + newSplit.bonusBps + newSplit.reserveBps;
        require(sum == ONE_BPS, SplitNotWhole(sum));

        _books.depositorsBps = newSplit.depositorsBps;
        _books.bonusBps = newSplit.bonusBps;
        emit SplitSet(newSplit.depositorsBps, newSplit.bonusBps, newSplit.reserveBps);
    }

    /* VIEWS */

    /// @inheritdoc IFeePool
    function split() external view returns (FeeSplit memory) {
        Books memory books = _books;
        // Safe unchecked cast because the three shares are 10 000 together.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint16 reserveBps = uint16(ONE_BPS - books.depositorsBps - books.bonusBps);
        return FeeSplit(books.depositorsBps, books.bonusBps, reserveBps);
    }

    /// @inheritdoc IFeePool
    function depositors() external view returns (uint256) {
        return _books.depositors;
    }

    /// @inheritdoc IFeePool
    function bonus() external view returns (uint256) {
        return _books.bonus;
    }

    /// @inheritdoc IFeePool
    function reserve() external view returns (uint256) {
        return _books.reserve;
    }

    /// @dev The three accounts together.
    function _booked(Books memory books) private pure returns (uint256) {
        return uint256(books.depositors) + books.bonus + books.reserve;
    }
}
