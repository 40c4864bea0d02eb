// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {BOOTLOADER, IAccount, Transaction} from "../interfaces/IAccount.sol";
import {ExecutionResult, IPaymaster} from "../interfaces/IPaymaster.sol";
import {INonceHolder} from "../interfaces/IL2System.sol";

/// @title Account and paymaster that do any wrong thing, for tests. It checks no signature: never hold funds in it.
/// @dev What it does in a step is set by `set(step, deed, argument)`; the default is to behave.
contract MischiefAccount is IAccount, IPaymaster {
    enum Step {
        Validate,
        Pay,
        Prepare,
        Paymaster,
        Execute,
        Post
    }
    enum Deed {
        Behave,
        Revert,
        Loop,
        WrongMagic,
        // Leaves the nonce alone.
        KeepNonce,
        // Pays one wei too little.
        Underpay,
        // Writes `argument` fresh slots.
        WriteSlots,
        // Reads slot `argument` of the address in slot 100.
        ReadForeign,
        // Asks the time.
        Timestamp,
        // Sends everything away, to 0xdead.
        Drain,
        // Fails unless slot 101 is zero: what a pool saw need not hold in a block.
        Switch,
        // Uses the nonce by value.
        Unordered,
        // Answers with 64 KiB.
        LongAnswer,
        // Sends a message to L1.
        Message,
        // Deploys a contract.
        Deploy,
        // Pays double.
        Overpay,
        // Calls `argument` as an address.
        CallOut
    }

    struct Plan {
        Deed deed;
        uint256 argument;
    }

    mapping(Step => Plan) public plans;

    INonceHolder private constant NONCES = INonceHolder(address(0x8003));

    receive() external payable {}

    function set(Step step, Deed deed, uint256 argument) external {
        plans[step] = Plan(deed, argument);
    }

    function store(uint256 slot, uint256 value) external {
        assembly {
            sstore(slot, value)
        }
    }

    function validateTransaction(bytes32, bytes32, Transaction calldata t) external payable returns (bytes4) {
        Plan memory plan = plans[Step.Validate];
        if (plan.deed == Deed.Unordered) NONCES.setValueUnderNonce(t.nonce, 1);
        else if (plan.deed != Deed.KeepNonce) NONCES.incrementMinNonceIfEquals(t.nonce);
        _do(plan);
        return plan.deed == Deed.WrongMagic ? bytes4(0xdeadbeef) : IAccount.validateTransaction.selector;
    }

    function payForTransaction(bytes32, bytes32, Transaction calldata t) external payable {
        _payment(plans[Step.Pay], t);
    }

    function prepareForPaymaster(bytes32, bytes32, Transaction calldata) external payable {
        _do(plans[Step.Prepare]);
    }

    function validateAndPayForPaymasterTransaction(bytes32, bytes32, Transaction calldata t)
        external
        payable
        returns (bytes4 magic, bytes memory context)
    {
        Plan memory plan = plans[Step.Paymaster];
        _payment(plan, t);
        magic = plan.deed == Deed.WrongMagic
            ? bytes4(0xdeadbeef)
            : IPaymaster.validateAndPayForPaymasterTransaction.selector;
        if (plan.deed == Deed.LongAnswer) context = new bytes(65536);
    }

    function executeTransaction(bytes32, bytes32, Transaction calldata t) external payable {
        _do(plans[Step.Execute]);
        (bool success, bytes memory reason) = address(uint160(t.to)).call{value: t.value}(t.data);
        if (!success) {
            assembly {
                revert(add(reason, 0x20), mload(reason))
            }
        }
    }

    function executeTransactionFromOutside(Transaction calldata) external payable {}

    function postTransaction(bytes calldata, Transaction calldata, bytes32, bytes32, ExecutionResult, uint256)
        external
        payable
    {
        _do(plans[Step.Post]);
    }

    function _payment(Plan memory plan, Transaction calldata t) private {
        _do(plan);
        uint256 fee = t.gasLimit * tx.gasprice;
        if (plan.deed == Deed.Underpay) fee -= 1;
        if (plan.deed == Deed.Overpay) fee *= 2;
        (bool paid,) = BOOTLOADER.call{value: fee}("");
        require(paid, "no funds");
    }

    function _do(Plan memory plan) private {
        if (plan.deed == Deed.Revert) revert("mischief");
        if (plan.deed == Deed.Loop) while (true) {}
        if (plan.deed == Deed.WriteSlots) {
            for (uint256 i = 0; i < plan.argument; ++i) {
                bytes32 slot = keccak256(abi.encode(msg.data, i));
                assembly {
                    sstore(slot, not(0))
                }
            }
        }
        if (plan.deed == Deed.ReadForeign) _readForeign(plan.argument);
        if (plan.deed == Deed.Timestamp) require(block.timestamp != 0);
        if (plan.deed == Deed.Drain) _send(address(0xdead), address(this).balance);
        if (plan.deed == Deed.Switch) {
            uint256 flag;
            assembly {
                flag := sload(101)
            }
            require(flag == 0, "switched");
        }
        if (plan.deed == Deed.Message) {
            (bool sent,) = address(0x8008).call(abi.encodeWithSignature("sendToL1(bytes)", hex"c0ffee"));
            require(sent);
        }
        if (plan.deed == Deed.Deploy) new Deployed();
        if (plan.deed == Deed.CallOut) {
            (bool called,) = address(uint160(plan.argument)).call("");
            require(called);
        }
    }

    function _readForeign(uint256 slot) private view {
        address other;
        assembly {
            other := sload(100)
        }
        IERC20(other).balanceOf(address(uint160(slot)));
    }

    function _send(address to, uint256 amount) private {
        (bool sent,) = to.call{value: amount}("");
        require(sent);
    }
}

contract Deployed {
    uint256 public constant ANSWER = 42;
}
