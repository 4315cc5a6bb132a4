// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IAttentionCredit} from "../interfaces/IAttentionCredit.sol";
import {FeeSplit, IFeePool} from "../interfaces/IFeePool.sol";

/// @title FeePool
/// @notice Created by the distributor, which is the only one that can burn from it.
contract FeePool is IFeePool, AccessManaged {
    using SafeCast for uint256;

    /// @dev One slot, read and written once per payment. 72 bits hold 4.7e15 whole credits. The reserve's share of
    /// later fees is what the other two leave.
    struct Books {
        uint72 depositors;
        uint72 bonus;
        uint72 reserve;
        uint16 depositorsBps;
        uint16 bonusBps;
    }

    /// @dev One whole, in hundredths of a percent.
    uint256 private constant ONE_BPS = 10_000;

    /// @inheritdoc IFeePool
    IAttentionCredit public immutable credit;

    /// @inheritdoc IFeePool
    address public immutable distributor;

    Books private _books;

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
        Books memory books = _books;
        uint256 booked = uint256(books.depositors) + books.bonus + books.reserve;
        collected = credit.balanceOf(address(this)) - booked;
        if (collected == 0) return 0;

        uint256 toDepositors = collected * books.depositorsBps / ONE_BPS;
        uint256 toBonus = collected * books.bonusBps / ONE_BPS;
        uint256 toReserve = collected - toDepositors - toBonus;
        books.depositors = (books.depositors + toDepositors).toUint72();
        books.bonus = (books.bonus + toBonus).toUint72();
        books.reserve = (books.reserve + toReserve).toUint72();
        _books = books;

        emit FeesCollected(collected, toDepositors, toBonus, toReserve);
    }

    /// @inheritdoc IFeePool
    function burnPot(uint32 epoch, uint256 amount) external {
        require(msg.sender == distributor, NotDistributor(msg.sender, distributor));
        if (amount == 0) return;
        uint256 available = _books.bonus;
        require(amount <= available, InsufficientBonus(amount, available));

        _books.bonus = (available - amount).toUint72();
        emit PotBurned(epoch, amount);
        credit.burn(amount);
    }

    /* SETTINGS */

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
}
