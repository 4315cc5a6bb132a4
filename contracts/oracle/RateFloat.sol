// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";

import {IFeePool} from "../interfaces/IFeePool.sol";
import {Floating, IRateFloat} from "../interfaces/IRateFloat.sol";
import {IRateOracle} from "../interfaces/IRateOracle.sol";
import {FloatingRate} from "../libraries/FloatingRate.sol";

/// @title RateFloat
/// @notice Beside the oracle because there is no room in it: its creation code holds that of three other contracts.
contract RateFloat is IRateFloat, AccessManaged {
    /// @inheritdoc IRateFloat
    IRateOracle public immutable oracle;

    /// @inheritdoc IRateFloat
    IFeePool public immutable feePool;

    /// @dev Two slots; the first alone says whether the rate floats. Its rate is the one last given to the oracle.
    Floating private _floating;

    constructor(address manager, IRateOracle rateOracle) AccessManaged(manager) {
        oracle = rateOracle;
        feePool = rateOracle.feePool();
    }

    /* MOVING */

    /// @inheritdoc IRateFloat
    function follow(uint32 epoch, uint64 rateQ24, uint256 supply) external returns (uint64) {
        require(msg.sender == address(oracle), NotOracle(msg.sender, address(oracle)));
        if (_floating.step == 0) return rateQ24;

        Floating memory next = _asOf(rateQ24);
        uint256 spent = feePool.spent();
        uint256 demand = spent - next.spentAtLast;
        int256 excessBefore = next.excess;
        int256 excess = FloatingRate.excessAfter(excessBefore, next.step, demand, supply);

        next.rateQ24 = FloatingRate.boundedMove(rateQ24, FloatingRate.rateDown(next.baseRateQ24, excess, next.step));
        // Safe unchecked casts because the excess is within four steps of 0, and 2^128 can never be spent.
        // forge-lint: disable-start(unsafe-typecast)
        next.excess = int128(excess);
        next.spentAtLast = uint128(spent);
        // forge-lint: disable-end(unsafe-typecast)
        _floating = next;
        emit RateMoved(epoch, demand, supply, excessBefore, excess, next.rateQ24);
        return next.rateQ24;
    }

    /* SETTINGS */

    /// @inheritdoc IRateFloat
    function setFloat(uint64 newStep) external restricted {
        require(newStep == 0 || newStep >= FloatingRate.MIN_STEP, StepTooSmall(newStep, FloatingRate.MIN_STEP));
        uint64 rateQ24 = oracle.rateQ24();
        uint256 spent = feePool.spent();
        emit FloatSet(_floating.step, newStep, rateQ24, spent);
        // Safe unchecked cast because 2^128 can never be spent.
        // forge-lint: disable-next-line(unsafe-typecast)
        _floating = Floating(newStep, rateQ24, rateQ24, 0, uint128(spent));
    }

    /* VIEWS */

    /// @inheritdoc IRateFloat
    function floating() external view returns (Floating memory) {
        return _asOf(oracle.rateQ24());
    }

    /// @dev With the rate that stands at the oracle: if it is not the one last given, governance has set it, and it is
    /// the base from here.
    function _asOf(uint64 rateQ24) private view returns (Floating memory current) {
        current = _floating;
        if (current.rateQ24 != rateQ24) {
            (current.rateQ24, current.baseRateQ24, current.excess) = (rateQ24, rateQ24, 0);
        }
    }
}
