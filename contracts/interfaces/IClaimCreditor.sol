// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title IClaimCreditor: who is paid first from a member's claims once a promise is overdue
/// @notice A creditor lends to a member on nothing but standing. In return the member's claims are pledged to it at the
/// distributor: while the debt is not due, claims go to the member as always; once it is overdue, they repay it first.
/// @dev Both functions are called by the distributor in the course of a claim, so neither may revert there.
interface IClaimCreditor {
    /// @notice How much of the borrower's next claims goes to the debt now, in micro-credits; 0 while it is not overdue.
    function dueFromClaims(address borrower) external view returns (uint256);

    /// @notice Books a repayment out of a claim. The distributor has minted `amount` to the creditor just before;
    /// `amount` is not above `dueFromClaims(borrower)`.
    /// @dev Requirements: the caller is the distributor (`NotClaimsDistributor`).
    function repayFromClaim(address borrower, uint256 amount) external;
}
