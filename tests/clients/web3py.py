"""web3.py against the rollup, and against L1s."""
import asyncio

import web3
from web3 import AsyncWeb3, WebSocketProvider
from web3.exceptions import ContractCustomError, Web3RPCError

from web3_client import CHAIN, ON_L1, TOKEN, Client, cells

client = Client()
w3 = client.w3
cell = cells("web3.py", web3.__version__)
state = {}


def connect():
    assert w3.is_connected()
    names = {None: "cairn/", "embedded L1": "cairn-l1/", "anvil 1.7.1": "anvil/"}
    assert w3.client_version.startswith(names[ON_L1 and ON_L1["name"]]), w3.client_version
    assert w3.eth.get_block("finalized")["number"] <= w3.eth.block_number


def transfer():
    client.send({"to": client.friend, "value": 123})
    assert w3.eth.get_balance(client.friend) == 123


def legacy_transfer():
    tx = {"to": client.friend, "value": 1, "gas": 21_000, "gasPrice": w3.eth.gas_price}
    tx |= {"nonce": w3.eth.get_transaction_count(client.me.address), "chainId": w3.eth.chain_id}
    sent = w3.eth.send_raw_transaction(client.me.sign_transaction(tx).raw_transaction)
    assert w3.eth.wait_for_transaction_receipt(sent, poll_latency=0.05)["type"] == 0


def deploy():
    state["token"] = client.deploy(TOKEN["abi"], TOKEN["bytecode"], "Web3", "WEB", 18)
    assert state["token"].functions.symbol().call() == "WEB"


def events():
    receipt = client.transact(state["token"].functions.mint(client.friend, 9))
    found = state["token"].events.Transfer().get_logs(from_block=receipt["blockNumber"])
    assert any(e["args"]["to"] == client.friend and e["args"]["value"] == 9 for e in found)


def filters():
    installed = w3.eth.filter({"address": state["token"].address})
    client.transact(state["token"].functions.mint(client.friend, 1))
    assert len(installed.get_new_entries()) == 1
    assert w3.eth.uninstall_filter(installed.filter_id)


def websocket():
    async def heads():
        async with AsyncWeb3(WebSocketProvider(CHAIN["ws"])) as live:
            await live.eth.subscribe("newHeads")
            await asyncio.to_thread(client.send, {"to": client.friend, "value": 1})
            async for message in live.socket.process_subscriptions():
                assert message["result"]["number"] > 0
                return

    asyncio.run(asyncio.wait_for(heads(), 30))


def custom_error():
    transfer = state["token"].functions.transfer(client.friend, 10**30)
    try:
        transfer.call({"from": client.me.address})
    except ContractCustomError as e:
        assert e.data.startswith("0xe450d38c"), e  # ERC20InsufficientBalance
    else:
        raise AssertionError("it did not revert")


def delegation():
    authority, target = w3.eth.account.create(), state["token"].address
    grant = {"chainId": w3.eth.chain_id, "address": target, "nonce": 0}
    signed = authority.sign_authorization(grant)
    tx = {"to": client.friend, "value": 0, "gas": 200_000, "authorizationList": [signed]}
    assert client.send(tx)["type"] == 4
    assert w3.eth.get_code(authority.address) == bytes.fromhex("ef0100" + target[2:])
    as_token = w3.eth.contract(address=authority.address, abi=TOKEN["abi"])
    assert as_token.functions.totalSupply().call() == 0


def dev_methods():
    def ask(method, *params):
        return w3.manager.request_blocking(method, list(params))

    friend = w3.eth.account.create().address
    ask("anvil_setBalance", friend, hex(10**18))
    snapshot, before = ask("evm_snapshot"), w3.eth.get_block("latest")
    ask("hardhat_impersonateAccount", friend)
    sent = w3.eth.send_transaction({"from": friend, "to": client.friend, "value": 1})
    assert w3.eth.wait_for_transaction_receipt(sent, poll_latency=0.05)["from"] == friend
    ask("hardhat_stopImpersonatingAccount", friend)
    ask("evm_increaseTime", 3600)
    ask("evm_mine")
    # Blocks that are mined within one second run ahead of the clock.
    assert w3.eth.get_block("latest")["timestamp"] > before["timestamp"] + 3540
    assert ask("evm_revert", snapshot) is True
    assert w3.eth.block_number == before["number"]
    assert w3.eth.get_balance(friend) == 10**18
    try:
        ask("evm_noSuchMethod")
    except Web3RPCError as e:
        assert e.rpc_response["error"]["code"] == -32601, e
    else:
        raise AssertionError("an unknown method was answered")


cell("connect", connect)
cell("transfer", transfer)
cell("legacy transfer", legacy_transfer)
cell("deploy", deploy)
cell("events", events)
cell("filters", filters)
cell("websocket subscriptions", websocket)
cell("custom errors", custom_error)
cell("EIP-7702: an account with a contract's code", delegation)
if ON_L1:
    cell("development methods", dev_methods)
cell.end()
