// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title PlainERC20
/// @notice OpenZeppelin's ERC-20 and nothing else: what our gas is compared with. Anybody can mint.
contract PlainERC20 is ERC20("Plain", "PLN") {
    /// @notice Mints to anybody, for anybody.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}
