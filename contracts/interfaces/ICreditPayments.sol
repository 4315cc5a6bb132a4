// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAttentionCredit} from "./IAttentionCredit.sol";
import {IFeePool} from "./IFeePool.sol";

/// @title ICreditPayments: pay with a memo and a fee
/// @notice A plain transfer of the credit is always free. Who pays here leaves a memo hash for both sides' statements
/// and a fee for the pool. The fee is taken out of the amount: the payer spends exactly `amount`.
/// @dev Holds no credits between transactions. Every payment counts as demand (`IFeePool.recordSpending`), one without a
/// fee too; a plain transfer does not. The fee pool must have been told of this contract (`NotSpender` until then).
interface ICreditPayments {
    /// @notice Somebody paid.
    /// @param payer Who spent `amount`.
    /// @param payee Who received `amount - fee`.
    /// @param memoHash Hash of what the payment was for; zero for none.
    /// @param amount Micro-credits the payer spent, fee included.
    /// @param fee Micro-credits that went to the fee pool.
    event Paid(address indexed payer, address indexed payee, bytes32 indexed memoHash, uint256 amount, uint256 fee);

    /// @notice The fee changed, in hundredths of a percent.
    event FeeSet(uint256 previousBps, uint256 feeBps);

    /// @notice A payment of nothing.
    error ZeroAmount();

    /// @notice The fee, rounded up, would leave the payee nothing.
    error NothingReceived(uint256 amount, uint256 fee);

    /// @notice A payment to oneself.
    error PayeeIsPayer(address payer);

    /// @notice A fee above the limit, in hundredths of a percent.
    error FeeTooHigh(uint256 feeBps, uint256 maxBps);

    /// @notice Pays out of the caller's allowance for this contract.
    /// @dev Requirements: `amount` is not 0 (`ZeroAmount`), the payee is somebody else (`PayeeIsPayer`), something is
    /// left after the fee (`NothingReceived`), balance and allowance cover `amount` (ERC-6093 errors). Emits `Paid`.
    /// @param to The payee.
    /// @param amount Micro-credits to spend, fee included.
    /// @param memoHash Hash of what the payment is for.
    /// @return received Micro-credits the payee got.
    function pay(address to, uint256 amount, bytes32 memoHash) external returns (uint256 received);

    /// @notice Pays with a signed ERC-2612 permit instead of an earlier approval.
    /// @dev The permit is used only while the allowance is below `amount`: a permit somebody else has already
    /// submitted does no harm. Requirements as for `pay`, and a valid permit of the caller over `amount`.
    /// @param to The payee.
    /// @param amount Micro-credits to spend, fee included; the permit's value.
    /// @param memoHash Hash of what the payment is for.
    /// @param deadline Unix time in seconds until which the permit holds.
    /// @param v Signature of the permit.
    /// @param r Signature of the permit.
    /// @param s Signature of the permit.
    /// @return received Micro-credits the payee got.
    function payWithPermit(
        address to,
        uint256 amount,
        bytes32 memoHash,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 received);

    /// @notice Changes the fee for later payments.
    /// @dev Requirements: the caller's role (`AccessManagedUnauthorized`), at most `MAX_FEE_BPS` (`FeeTooHigh`).
    /// Emits `FeeSet`.
    /// @param newFeeBps Hundredths of a percent.
    function setFee(uint256 newFeeBps) external;

    /// @notice What a payment of an amount would cost now.
    /// @param amount Micro-credits to spend, fee included.
    /// @return fee Micro-credits for the pool, rounded up.
    /// @return received Micro-credits for the payee.
    function quote(uint256 amount) external view returns (uint256 fee, uint256 received);

    /// @notice The fee in hundredths of a percent.
    function feeBps() external view returns (uint256);

    /// @notice No fee can be set above this: 1000, ten percent.
    function MAX_FEE_BPS() external view returns (uint256);

    /// @notice The credit that is paid with.
    function credit() external view returns (IAttentionCredit);

    /// @notice Where fees go.
    function feePool() external view returns (IFeePool);
}
