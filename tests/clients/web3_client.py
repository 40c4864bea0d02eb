"""web3.py as the scripts of the matrix use it."""
import json
import os
import pathlib
import sys

from web3 import Web3

NETWORK = json.loads(os.environ["CAIRN_NETWORK"])
# An L1 that was started for this run alone; None when the run is on the rollup.
ON_L1 = json.loads(os.environ.get("CAIRN_L1", "null"))
# The chain that this run is on.
CHAIN = ON_L1 or NETWORK["l2"]
TOKEN = json.loads(
    (pathlib.Path(__file__).parent / "../../contracts/artifacts/TestERC20.json").read_text()
)


class cells:
    """Cells of one client: each prints one JSON line."""

    def __init__(self, client, version):
        self.client, self.version, self.failed = client, version, 0

    def __call__(self, flow, run):
        record = {"client": self.client, "version": self.version, "flow": flow, "ok": True}
        if ON_L1:
            record["on"] = ON_L1["name"]
        try:
            run()
        except Exception as e:  # every failure is a cell of the matrix
            self.failed += 1
            record.update(ok=False, error=repr(e)[:2000])
        print(json.dumps(record, separators=(",", ":")), flush=True)

    def end(self):
        sys.exit(1 if self.failed else 0)


class Client:
    """The development account that the matrix gives to this script; it signs for itself."""

    def __init__(self):
        index = int(os.environ.get("CAIRN_ACCOUNT", "0"))
        self.w3 = Web3(Web3.HTTPProvider(CHAIN["http"]))
        self.me = self.w3.eth.account.from_key(NETWORK["accounts"][index]["key"])
        self.friend = self.w3.eth.account.create().address

    def send(self, tx):
        eth = self.w3.eth
        tx.setdefault("from", self.me.address)
        tx.setdefault("nonce", eth.get_transaction_count(self.me.address))
        tx.setdefault("chainId", eth.chain_id)
        if "gas" not in tx:
            tx["gas"] = eth.estimate_gas(tx)
        fee = eth.fee_history(1, "latest")["baseFeePerGas"][-1]
        tx.setdefault("maxPriorityFeePerGas", eth.max_priority_fee)
        tx.setdefault("maxFeePerGas", 2 * fee + tx["maxPriorityFeePerGas"])
        raw = self.me.sign_transaction(tx).raw_transaction
        receipt = eth.wait_for_transaction_receipt(eth.send_raw_transaction(raw), poll_latency=0.05)
        assert receipt["status"] == 1, receipt
        return receipt

    def transact(self, call, value=0):
        nonce = self.w3.eth.get_transaction_count(self.me.address)
        return self.send(call.build_transaction({"from": self.me.address, "nonce": nonce, "value": value}))

    def deploy(self, abi, bytecode, *args):
        receipt = self.transact(self.w3.eth.contract(abi=abi, bytecode=bytecode).constructor(*args))
        return self.w3.eth.contract(address=receipt["contractAddress"], abi=abi)
