// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";

import {CreditParameters, IAttentionCredit} from "../interfaces/IAttentionCredit.sol";

/// @title AttentionCredit
/// @notice Created by the distributor, which is its minter for ever.
contract AttentionCredit is ERC20, ERC20Burnable, ERC20Permit, IAttentionCredit {
    /// @inheritdoc IAttentionCredit
    address public immutable minter;

    /// @inheritdoc IAttentionCredit
    string public contractURI;

    constructor(CreditParameters memory parameters)
        ERC20(parameters.name, parameters.symbol)
        ERC20Permit(parameters.name)
    {
        minter = msg.sender;
        contractURI = parameters.contractURI;
        emit ContractURIUpdated();
    }

    /// @inheritdoc IAttentionCredit
    function mint(address to, uint256 amount) external {
        require(msg.sender == minter, NotMinter(msg.sender, minter));
        _mint(to, amount);
    }

    /// @inheritdoc IAttentionCredit
    function burn(uint256 amount) public override(ERC20Burnable, IAttentionCredit) {
        super.burn(amount);
    }

    /// @inheritdoc IERC20Metadata
    function decimals() public pure override(ERC20, IERC20Metadata) returns (uint8) {
        return 6;
    }

    /// @inheritdoc IERC20Permit
    function nonces(address owner) public view override(ERC20Permit, IERC20Permit) returns (uint256) {
        return super.nonces(owner);
    }
}
