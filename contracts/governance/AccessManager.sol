// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

// Governance is OpenZeppelin's AccessManager as it is: this import only makes the compiler emit it.
import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
