// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBridgehub} from "../src/interfaces/IBridgehub.sol";
import {IL1AssetRouter, IAssetRouterBase} from "../src/interfaces/IAssetRouter.sol";
import {IL1Nullifier} from "../src/interfaces/IL1Nullifier.sol";
import {IL2AssetRouter, IL2SharedBridge} from "../src/interfaces/IL2Bridge.sol";
import {IBaseToken, IContractDeployer, IL1Messenger, INonceHolder, IPaymasterFlow} from "../src/interfaces/IL2System.sol";
import {IMailboxLegacy} from "../src/interfaces/IMailbox.sol";
import {IMessageVerification} from "../src/interfaces/IMessageRoot.sol";
import {IL2NativeTokenVault, INativeTokenVault} from "../src/interfaces/INativeTokenVault.sol";
import {IZKChain} from "../src/interfaces/IZKChain.sol";
import {Test} from "./utils/Test.sol";

/// @dev The signatures that zkSync's clients call, as numbers: a renamed type would change them silently.
contract SelectorsTest is Test {
    function _is(bytes4 actual, bytes4 expected) private pure {
        assertEq(bytes32(actual), bytes32(expected), "selector");
    }

    function test_l1() public pure {
        _is(IBridgehub.requestL2TransactionDirect.selector, 0xd52471c1);
        _is(IBridgehub.requestL2TransactionTwoBridges.selector, 0x24fd57fb);
        _is(IBridgehub.l2TransactionBaseCost.selector, 0x71623274);
        _is(IBridgehub.baseToken.selector, 0x59ec65a2);
        _is(IBridgehub.getZKChain.selector, 0xe680c4c1);
        _is(IBridgehub.getHyperchain.selector, 0xdead6f7f);
        _is(IL1AssetRouter.L1_NULLIFIER.selector, 0xe60ccaba);
        _is(IL1AssetRouter.nativeTokenVault.selector, 0x64e130cf);
        _is(bytes4(keccak256("bridgeRecoverFailedTransfer(uint256,address,bytes32,bytes)")), 0x1346ca3b);
        _is(IL1Nullifier.bridgeRecoverFailedTransfer.selector, 0x3601e63e);
        _is(IL1AssetRouter.isWithdrawalFinalized.selector, 0x8f31f052);
        _is(IL1Nullifier.isWithdrawalFinalized.selector, 0x8f31f052);
        _is(IL1Nullifier.finalizeDeposit.selector, 0x74beea82);
        _is(INativeTokenVault.assetId.selector, 0xfd3f60df);
        _is(INativeTokenVault.tokenAddress.selector, 0x97bb3ce9);
        _is(IMailboxLegacy.finalizeEthWithdrawal.selector, 0x6c0960f9);
        assertEq(
            IZKChain.NewPriorityRequest.selector,
            0x4531cd5795773d7101c17bdeb9f5ab7f47d7056017506f937083be5d6e77a382,
            "NewPriorityRequest"
        );
    }

    function test_l2() public pure {
        _is(IL2AssetRouter.L1_ASSET_ROUTER.selector, 0xcdf25430);
        _is(bytes4(keccak256("withdraw(bytes32,bytes)")), 0x4a2e35ba);
        _is(IAssetRouterBase.finalizeDeposit.selector, 0x9c884fd1);
        _is(IL2SharedBridge.withdraw.selector, 0xd9caed12);
        _is(IL2SharedBridge.l1SharedBridge.selector, 0xb852ad36);
        _is(IL2SharedBridge.l2TokenAddress.selector, 0xf5f15168);
        _is(IL2SharedBridge.l1TokenAddress.selector, 0xf54266a2);
        _is(IL2SharedBridge.finalizeDeposit.selector, 0xcfe7af7c);
        _is(IL2NativeTokenVault.BASE_TOKEN_ASSET_ID.selector, 0xcb944dec);
        _is(INativeTokenVault.L1_CHAIN_ID.selector, 0x2f90b184);
        _is(INativeTokenVault.originChainId.selector, 0x5f3455b5);
        _is(IL2NativeTokenVault.l2TokenAddress.selector, 0xf5f15168);
        _is(IBaseToken.withdraw.selector, 0x51cff8d9);
        _is(IBaseToken.withdrawWithMessage.selector, 0x84bc3eb0);
        _is(IL1Messenger.sendToL1.selector, 0x62f84b24);
        _is(IContractDeployer.create.selector, 0x9c4d535b);
        _is(IContractDeployer.create2.selector, 0x3cda3351);
        _is(IContractDeployer.createAccount.selector, 0xecf95b8a);
        _is(IContractDeployer.getAccountInfo.selector, 0x7b510fe8);
        _is(INonceHolder.getDeploymentNonce.selector, 0xfb1a9a57);
        _is(IPaymasterFlow.approvalBased.selector, 0x949431dc);
        _is(IPaymasterFlow.general.selector, 0x8c5a3445);
        _is(bytes4(keccak256("interopRoots(uint256,uint256)")), 0x77cfd171);
        _is(IMessageVerification.proveL2MessageInclusionShared.selector, 0x18b7fc22);
    }

    function test_events() public pure {
        assertEq(IBaseToken.Mint.selector, 0x0f6798a560793a54c3bcfe86a93cde1e73087d944c0ea20544137d4121396885, "Mint");
        assertEq(
            IBaseToken.Transfer.selector, 0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef, "Transfer"
        );
        assertEq(
            IBaseToken.Withdrawal.selector,
            0x2717ead6b9200dd235aad468c9809ea400fe33ac69b5bfaa6d3e90fc922b6398,
            "Withdrawal"
        );
        assertEq(
            IL1Messenger.L1MessageSent.selector,
            0x3a36e47291f4201faf137fab081d92295bce2d53be2c6ca68ba82c7faa9ce241,
            "L1MessageSent"
        );
        assertEq(
            IContractDeployer.ContractDeployed.selector,
            0x290afdae231a3fc0bbae8b1af63698b0a1d79b21ad17df0342dfb952fe74f8e5,
            "ContractDeployed"
        );
    }
}
