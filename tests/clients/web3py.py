"""web3.py against the rollup."""
import asyncio

import web3
from web3 import AsyncWeb3, WebSocketProvider

from web3_client import NETWORK, TOKEN, Client, cells

client = Client()
w3 = client.w3
cell = cells("web3.py", web3.__version__)
state = {}


def connect():
    assert w3.is_connected()
    assert w3.client_version.startswith("cairn/")
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
        async with AsyncWeb3(WebSocketProvider(NETWORK["l2"]["ws"])) as live:
            await live.eth.subscribe("newHeads")
            await asyncio.to_thread(client.send, {"to": client.friend, "value": 1})
            async for message in live.socket.process_subscriptions():
                assert message["result"]["number"] > 0
                return

    asyncio.run(asyncio.wait_for(heads(), 30))


cell("connect", connect)
cell("transfer", transfer)
cell("legacy transfer", legacy_transfer)
cell("deploy", deploy)
cell("events", events)
cell("filters", filters)
cell("websocket subscriptions", websocket)
cell.end()
