"""web3.py against the rollup."""
import json
import os
import pathlib
import sys

import web3
from web3 import Web3

NETWORK = json.loads(os.environ["CAIRN_NETWORK"])
TOKEN = json.loads(
    (pathlib.Path(__file__).parent / "../../contracts/artifacts/TestERC20.json").read_text()
)
w3 = Web3(Web3.HTTPProvider(NETWORK["l2"]["http"]))
me = w3.eth.account.from_key(NETWORK["accounts"][5]["key"])
friend = w3.eth.account.create().address
failed = 0
state = {}


def cell(flow, run):
    global failed
    record = {"client": "web3.py", "version": web3.__version__, "flow": flow, "ok": True}
    try:
        run()
    except Exception as e:  # every failure is a cell of the matrix
        failed += 1
        record.update(ok=False, error=repr(e)[:2000])
    print(json.dumps(record), flush=True)


def send(tx):
    tx.setdefault("from", me.address)
    tx.setdefault("nonce", w3.eth.get_transaction_count(me.address))
    tx.setdefault("chainId", w3.eth.chain_id)
    if "gas" not in tx:
        tx["gas"] = w3.eth.estimate_gas(tx)
    fee = w3.eth.fee_history(1, "latest")["baseFeePerGas"][-1]
    tx.setdefault("maxPriorityFeePerGas", w3.eth.max_priority_fee)
    tx.setdefault("maxFeePerGas", 2 * fee + tx["maxPriorityFeePerGas"])
    raw = me.sign_transaction(tx).raw_transaction
    return w3.eth.wait_for_transaction_receipt(w3.eth.send_raw_transaction(raw), poll_latency=0.05)


def connect():
    assert w3.is_connected()


def transfer():
    assert send({"to": friend, "value": 123})["status"] == 1
    assert w3.eth.get_balance(friend) == 123


def deploy():
    factory = w3.eth.contract(abi=TOKEN["abi"], bytecode=TOKEN["bytecode"])
    tx = factory.constructor("Web3", "WEB", 18).build_transaction(
        {"from": me.address, "nonce": w3.eth.get_transaction_count(me.address)}
    )
    receipt = send(tx)
    state["token"] = w3.eth.contract(address=receipt["contractAddress"], abi=TOKEN["abi"])
    assert state["token"].functions.symbol().call() == "WEB"


def events():
    call = state["token"].functions.mint(friend, 9)
    receipt = send(call.build_transaction({"from": me.address, "nonce": w3.eth.get_transaction_count(me.address)}))
    found = state["token"].events.Transfer().get_logs(from_block=receipt["blockNumber"])
    assert any(e["args"]["to"] == friend and e["args"]["value"] == 9 for e in found)


cell("connect", connect)
cell("transfer", transfer)
cell("deploy", deploy)
cell("events", events)
sys.exit(1 if failed else 0)
