// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";

/// @notice How the credit presents itself.
/// @param name Full name; also the name of its EIP-712 domain.
/// @param symbol Short name.
/// @param contractURI Address of the ERC-7572 document.
struct CreditParameters {
    string name;
    string symbol;
    string contractURI;
}

/// @title IAttentionCredit: the credit
/// @notice ERC-20 with ERC-2612 permits (domain: ERC-5267), ERC-6093 errors and ERC-7572 metadata. Six decimals: all
/// amounts are micro-credits. A transfer moves exactly the amount given: no tax, no hook, no allow list.
/// @dev The only way to create credits is the minter, fixed at creation: the distributor, which mints only against a
/// leaf of a finalised epoch. Nobody can seize, freeze or pause. Holders may burn their own.
interface IAttentionCredit is IERC20Metadata, IERC20Permit {
    /// @notice ERC-7572: the contract document's address has been set. Emitted once, at creation.
    event ContractURIUpdated();

    /// @notice Somebody other than the minter tried to mint.
    error NotMinter(address caller, address minter);

    /// @notice Creates credits.
    /// @dev Requirements: the caller is the minter (`NotMinter`); `to` is not zero (`ERC20InvalidReceiver`).
    /// Emits `Transfer` from the zero address.
    /// @param to Who receives them.
    /// @param amount Micro-credits.
    function mint(address to, uint256 amount) external;

    /// @notice Destroys credits of the caller. Emits `Transfer` to the zero address.
    /// @param amount Micro-credits.
    function burn(uint256 amount) external;

    /// @notice The only address that can mint, for ever.
    function minter() external view returns (address);

    /// @notice ERC-7572: address of a JSON document that describes the credit.
    function contractURI() external view returns (string memory);
}
