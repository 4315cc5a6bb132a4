// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

/// @title Walker: a member for the random walk, with a contract for a wallet
/// @notice Does what the walk tells it. As an ERC-1271 wallet it calls exactly one signature its own: the byte 0x01.
contract Walker is IERC1271 {
    address private immutable _walk;

    error NotTheWalk(address caller);

    constructor() {
        _walk = msg.sender;
    }

    /// @notice Calls a contract and tells what became of it.
    function act(address target, bytes calldata data) external returns (bool succeeded, bytes memory returned) {
        require(msg.sender == _walk, NotTheWalk(msg.sender));
        // The walk looks at success and data both.
        // forge-lint: disable-next-line(unchecked-call)
        (succeeded, returned) = target.call(data);
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32, bytes calldata signature) external pure returns (bytes4) {
        bool valid = signature.length == 1 && signature[0] == 0x01;
        return valid ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}

/// @title BankWalk: many steps of many members in one transaction
/// @notice The walk in Python decides the steps and knows from the specification what each must return or revert with.
contract BankWalk {
    /// @notice One step.
    /// @param walker Position of the member.
    /// @param target Contract to call.
    /// @param data Calldata.
    struct Step {
        uint256 walker;
        address target;
        bytes data;
    }

    Walker[] public walkers;

    /// @notice What became of a step, in the order of the steps.
    event Stepped(bool succeeded, bytes returned);

    constructor(uint256 count) {
        for (uint256 i; i < count; ++i) {
            walkers.push(new Walker());
        }
    }

    /// @notice Takes the steps; one that reverts does not stop the others.
    function take(Step[] calldata steps) external {
        for (uint256 i; i < steps.length; ++i) {
            (bool succeeded, bytes memory returned) = walkers[steps[i].walker].act(steps[i].target, steps[i].data);
            emit Stepped(succeeded, returned);
        }
    }

    /// @notice Answers of many views at once.
    function read(address[] calldata targets, bytes[] calldata calls) external view returns (bytes[] memory answers) {
        answers = new bytes[](calls.length);
        for (uint256 i; i < calls.length; ++i) {
            (bool succeeded, bytes memory answer) = targets[i].staticcall(calls[i]);
            // A view that reverts answers nothing: the walk expects that where a receipt is gone.
            if (succeeded) answers[i] = answer;
        }
    }
}
