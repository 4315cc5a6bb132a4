// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICreditExchange, TradeOrder} from "../interfaces/ICreditExchange.sol";

/// @title OddToken: a token that moves as it likes
/// @notice Anybody mints; there is an allowance without limit for everybody.
contract OddToken {
    enum Manner {
        Plain,
        ReturnsNothing,
        KeepsAPart,
        AddsAPart,
        MovesNothing,
        ReturnsFalse,
        Reverts,
        Reenters,
        AnswersNothing
    }

    Manner private immutable _manner;
    mapping(address holder => uint256) private _balances;
    bytes private _call;
    bytes public answer;

    error Unwilling();

    constructor(Manner manner) {
        _manner = manner;
    }

    function mint(address to, uint256 amount) external {
        _balances[to] += amount;
    }

    /// @notice What it calls in the middle of a transfer.
    function setCall(bytes calldata data) external {
        _call = data;
    }

    function balanceOf(address holder) external view returns (uint256) {
        require(_manner != Manner.AnswersNothing, Unwilling());
        return _balances[holder];
    }

    function allowance(address, address) external pure returns (uint256) {
        return type(uint256).max;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        require(_manner != Manner.Reverts, Unwilling());
        if (_manner == Manner.ReturnsFalse) return false;
        if (_manner == Manner.Reenters) {
            (bool done, bytes memory said) = msg.sender.call(_call);
            answer = done ? bytes("done") : said;
        }
        uint256 arrives = amount;
        if (_manner == Manner.KeepsAPart) arrives -= 1;
        if (_manner == Manner.AddsAPart) arrives += 1;
        if (_manner == Manner.MovesNothing) return true;
        _balances[from] -= amount;
        _balances[to] += arrives;
        if (_manner == Manner.ReturnsNothing) {
            assembly {
                return(0, 0)
            }
        }
        return true;
    }
}

/// @title TradingWallet: a maker that is a contract, signs by ERC-1271 and may not take coin
contract TradingWallet {
    bytes32 private _signed;
    bool private _takesCoin;
    bytes private _call;

    error Unwilling();

    function sign(bytes32 digest) external {
        _signed = digest;
    }

    function takeCoin(bool takes, bytes calldata then) external {
        (_takesCoin, _call) = (takes, then);
    }

    /// @notice Does as its owner would.
    function execute(address target, bytes calldata data) external {
        (bool done,) = target.call(data);
        require(done, Unwilling());
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == _signed ? this.isValidSignature.selector : bytes4(0xffffffff);
    }

    receive() external payable {
        require(_takesCoin, Unwilling());
        if (_call.length != 0) {
            (bool done,) = msg.sender.call(_call);
            require(!done, Unwilling());
        }
    }
}
