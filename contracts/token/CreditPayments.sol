// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IAttentionCredit} from "../interfaces/IAttentionCredit.sol";
import {ICreditPayments} from "../interfaces/ICreditPayments.sol";
import {IFeePool} from "../interfaces/IFeePool.sol";

/// @title CreditPayments
contract CreditPayments is ICreditPayments, AccessManaged {
    using SafeERC20 for IAttentionCredit;

    /// @inheritdoc ICreditPayments
    uint256 public constant MAX_FEE_BPS = 1_000;

    /// @dev One whole, in hundredths of a percent.
    uint256 private constant ONE_BPS = 10_000;

    /// @inheritdoc ICreditPayments
    IAttentionCredit public immutable credit;

    /// @inheritdoc ICreditPayments
    IFeePool public immutable feePool;

    /// @inheritdoc ICreditPayments
    uint256 public feeBps;

    constructor(address manager, IAttentionCredit paidCredit, IFeePool pool, uint256 initialFeeBps)
        AccessManaged(manager)
    {
        credit = paidCredit;
        feePool = pool;
        _setFee(initialFeeBps);
    }

    /* PAYMENTS */

    /// @inheritdoc ICreditPayments
    function pay(address to, uint256 amount, bytes32 memoHash) external returns (uint256 received) {
        return _pay(to, amount, memoHash);
    }

    /// @inheritdoc ICreditPayments
    function payWithPermit(
        address to,
        uint256 amount,
        bytes32 memoHash,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 received) {
        // Whoever sees the permit can submit it first; the allowance it gave then serves as well.
        if (credit.allowance(msg.sender, address(this)) < amount) {
            credit.permit(msg.sender, address(this), amount, deadline, v, r, s);
        }
        return _pay(to, amount, memoHash);
    }

    /// @inheritdoc ICreditPayments
    function quote(uint256 amount) public view returns (uint256 fee, uint256 received) {
        fee = _feeUp(amount);
        received = amount - fee;
    }

    /* SETTINGS */

    /// @inheritdoc ICreditPayments
    function setFee(uint256 newFeeBps) external restricted {
        _setFee(newFeeBps);
    }

    function _pay(address to, uint256 amount, bytes32 memoHash) private returns (uint256 received) {
        require(amount != 0, ZeroAmount());
        require(to != msg.sender, PayeeIsPayer(msg.sender));
        uint256 fee;
        (fee, received) = quote(amount);
        require(received != 0, NothingReceived(amount, fee));

        emit Paid(msg.sender, to, memoHash, amount, fee);

        credit.safeTransferFrom(msg.sender, to, received);
        if (fee != 0) credit.safeTransferFrom(msg.sender, address(feePool), fee);
        // One call for both: the fee is booked, and what the payee got counts as demand.
        feePool.recordSpending(received);
    }

    /// @dev Rounded up, in the pool's favour: otherwise many small payments would be free.
    function _feeUp(uint256 amount) private view returns (uint256) {
        return Math.mulDiv(amount, feeBps, ONE_BPS, Math.Rounding.Ceil);
    }

    function _setFee(uint256 newFeeBps) private {
        require(newFeeBps <= MAX_FEE_BPS, FeeTooHigh(newFeeBps, MAX_FEE_BPS));
        emit FeeSet(feeBps, newFeeBps);
        feeBps = newFeeBps;
    }
}
