// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title IMemberRegistry: gives members without a wallet theirs later, once
/// @notice Who has no wallet yet earns under a placeholder address. The registrar requests a link to a wallet; during
/// the delay a canceller, to whom the member can object, or the wallet itself can reject it; then anybody confirms it.
/// A confirmed link is for ever: nobody can redirect what a member earned.
/// @dev It holds no credits and knows nothing of them.
interface IMemberRegistry {
    /// @notice A link was requested.
    /// @param effectiveAt Unix time in seconds from which it can be confirmed.
    event LinkRequested(address indexed placeholder, address indexed wallet, uint48 effectiveAt);

    /// @notice A requested link was rejected.
    event LinkRejected(address indexed placeholder, address indexed wallet, address indexed caller);

    /// @notice A link stands, for ever.
    event LinkConfirmed(address indexed placeholder, address indexed wallet);

    /// @notice The address does not start with the bytes "timebank".
    error NotPlaceholder(address account);

    /// @notice The wallet is the zero address or itself a placeholder.
    error NotWallet(address wallet);

    /// @notice The placeholder has a wallet already.
    error AlreadyLinked(address placeholder, address wallet);

    /// @notice A request is waiting already: reject it first.
    error AlreadyRequested(address placeholder, address wallet);

    /// @notice No link was requested for the placeholder.
    error NotRequested(address placeholder);

    /// @notice The delay is not over.
    /// @param effectiveAt Unix time in seconds from which the link can be confirmed.
    /// @param current Unix time in seconds.
    error TooEarly(address placeholder, uint48 effectiveAt, uint256 current);

    /// @notice Asks for a link.
    /// @dev Requirements: the caller's role (`AccessManagedUnauthorized`), a placeholder (`NotPlaceholder`), a wallet
    /// (`NotWallet`), no link yet (`AlreadyLinked`) and no request waiting (`AlreadyRequested`). Emits `LinkRequested`.
    function requestLink(address placeholder, address wallet) external;

    /// @notice Takes back a requested link.
    /// @dev Requirements: the caller is the requested wallet or has the role for this function
    /// (`AccessManagedUnauthorized`), a request is waiting (`NotRequested`). Emits `LinkRejected`.
    function rejectLink(address placeholder) external;

    /// @notice Makes a requested link final. Anybody may call it.
    /// @dev Requirements: a request is waiting (`NotRequested`), the delay is over (`TooEarly`).
    /// Emits `LinkConfirmed`.
    function confirmLink(address placeholder) external;

    /// @notice The wallet a placeholder is linked to; zero when none is.
    function walletOf(address placeholder) external view returns (address);

    /// @notice The request that is waiting; zeros when none is.
    /// @return wallet The requested wallet.
    /// @return effectiveAt Unix time in seconds from which it can be confirmed.
    function requestedLink(address placeholder) external view returns (address wallet, uint48 effectiveAt);

    /// @notice Whether an address is a placeholder, by its prefix alone.
    function isPlaceholder(address account) external pure returns (bool);

    /// @notice Seconds between request and confirmation.
    function linkDelay() external view returns (uint48);
}
