// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IMemberRegistry} from "../interfaces/IMemberRegistry.sol";
import {Placeholder} from "../libraries/Placeholder.sol";

/// @title MemberRegistry
contract MemberRegistry is IMemberRegistry, AccessManaged {
    using SafeCast for uint256;

    struct Request {
        address wallet;
        uint48 effectiveAt;
    }

    /// @inheritdoc IMemberRegistry
    uint48 public immutable linkDelay;

    /// @inheritdoc IMemberRegistry
    mapping(address placeholder => address) public walletOf;

    mapping(address placeholder => Request) private _requests;

    constructor(address manager, uint48 delay) AccessManaged(manager) {
        linkDelay = delay;
    }

    /* LINKS */

    /// @inheritdoc IMemberRegistry
    function requestLink(address placeholder, address wallet) external restricted {
        require(Placeholder.isPlaceholder(placeholder), NotPlaceholder(placeholder));
        require(wallet != address(0) && !Placeholder.isPlaceholder(wallet), NotWallet(wallet));
        address linked = walletOf[placeholder];
        require(linked == address(0), AlreadyLinked(placeholder, linked));
        address requested = _requests[placeholder].wallet;
        require(requested == address(0), AlreadyRequested(placeholder, requested));

        uint48 effectiveAt = (block.timestamp + linkDelay).toUint48();
        _requests[placeholder] = Request(wallet, effectiveAt);
        emit LinkRequested(placeholder, wallet, effectiveAt);
    }

    /// @inheritdoc IMemberRegistry
    function rejectLink(address placeholder) external {
        address wallet = _requests[placeholder].wallet;
        // The wallet's own objection needs no role.
        if (msg.sender != wallet) _checkCanCall(msg.sender, msg.data);
        require(wallet != address(0), NotRequested(placeholder));

        delete _requests[placeholder];
        emit LinkRejected(placeholder, wallet, msg.sender);
    }

    /// @inheritdoc IMemberRegistry
    function confirmLink(address placeholder) external {
        Request memory request = _requests[placeholder];
        require(request.wallet != address(0), NotRequested(placeholder));
        require(block.timestamp >= request.effectiveAt, TooEarly(placeholder, request.effectiveAt, block.timestamp));

        delete _requests[placeholder];
        walletOf[placeholder] = request.wallet;
        emit LinkConfirmed(placeholder, request.wallet);
    }

    /* VIEWS */

    /// @inheritdoc IMemberRegistry
    function requestedLink(address placeholder) external view returns (address wallet, uint48 effectiveAt) {
        Request memory request = _requests[placeholder];
        return (request.wallet, request.effectiveAt);
    }

    /// @inheritdoc IMemberRegistry
    function isPlaceholder(address account) external pure returns (bool) {
        return Placeholder.isPlaceholder(account);
    }
}
