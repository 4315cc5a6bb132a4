// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {EpochHeader} from "../interfaces/IRateOracle.sol";

/// @title Header: the identity of an epoch
library Header {
    /// @dev EIP-712 type of a header.
    bytes32 private constant HEADER_TYPEHASH = keccak256(
        "EpochHeader(uint32 epoch,uint48 startMs,uint48 endMs,bytes32 policyHash,bytes32 activityRoot,"
        "uint32 activityCount,bytes32 accountRoot,uint32 accountCount,uint32 activeCount,uint64 totalEarned,"
        "uint64 totalMint,uint64 rateQ24,uint64 pot,bytes32 previousHeaderHash,bytes32 dataHash,string dataURI)"
    );

    /// @notice EIP-712 struct hash of a header.
    function hash(EpochHeader calldata header) internal pure returns (bytes32) {
        // In two parts because one expression of seventeen words is too deep for the stack; all words are static,
        // so the parts put together are the encoding of the whole.
        return keccak256(
            bytes.concat(
                abi.encode(
                    HEADER_TYPEHASH,
                    header.epoch,
                    header.startMs,
                    header.endMs,
                    header.policyHash,
                    header.activityRoot,
                    header.activityCount,
                    header.accountRoot,
                    header.accountCount
                ),
                abi.encode(
                    header.activeCount,
                    header.totalEarned,
                    header.totalMint,
                    header.rateQ24,
                    header.pot,
                    header.previousHeaderHash,
                    header.dataHash,
                    keccak256(bytes(header.dataURI))
                )
            )
        );
    }
}
