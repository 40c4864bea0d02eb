"""State tests against Ethereum's executable specification.

Each case is a random world (contracts of random code, storage, balances) and one transaction. Python's `ethereum-execution` executes it by the
specification; the embedded L1 and the rollup execute it by `eth_simulateV1` and `debug_traceCall`. Status, return data, logs, balances, nonces, code
and storage must agree on both, and on L1 the gas too (the rollup charges for pubdata besides).

`run.py COUNT [SEED]`; `CAIRN_NETWORK` describes the network. A case that differs is printed whole.
"""
import json
import os
import random
import sys
import urllib.request

import programs
import spec

NETWORK = json.loads(os.environ["CAIRN_NETWORK"])


def rpc(url, method, params):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def overrides(case):
    return {
        address: {
            "balance": hex(account["balance"]),
            "nonce": hex(account["nonce"]),
            "code": account["code"],
            "state": {word(k): word(v) for k, v in account["storage"].items()},
        }
        for address, account in case["world"].items()
    }


def word(n):
    return f"0x{n:064x}"


def on_head(url, case):
    """The case in a block right above the node's head (simulated blocks may not be far from it), and that head."""
    head = rpc(url, "eth_getBlockByNumber", ["latest", False])["result"]
    number, time = int(head["number"], 16) + 1, int(head["timestamp"], 16) + 1
    env = {**case["env"], "number": number, "time": max(case["env"]["time"], time)}
    return {**case, "env": env}, head["number"]


def executed(url, case, head):
    """What the node at `url` makes of a case in the block above `head`."""
    env, tx = case["env"], case["tx"]
    block = {
        "number": hex(env["number"]), "time": hex(env["time"]), "baseFeePerGas": "0x0",
        "feeRecipient": env["coinbase"], "prevRandao": word(env["randao"]), "gasLimit": hex(env["gas_limit"]),
    }
    call = {
        "from": tx["from"], "gas": hex(tx["gas"]), "value": hex(tx["value"]), "input": tx["data"],
        "accessList": [{"address": a, "storageKeys": [word(k) for k in keys]} for a, keys in tx["access"]],
        "gasPrice": "0x0",
    }
    if tx["to"] is not None:
        call["to"] = tx["to"]
    payload = {"blockStateCalls": [{"blockOverrides": block, "stateOverrides": overrides(case), "calls": [call]}]}
    answer = rpc(url, "eth_simulateV1", [payload, head])
    if "error" in answer:
        return {"refused": answer["error"]["message"]}
    done = answer["result"][0]["calls"][0]
    tracer = {
        "tracer": "prestateTracer", "tracerConfig": {"diffMode": True},
        "stateOverrides": overrides(case), "blockOverrides": block,
    }
    diff = rpc(url, "debug_traceCall", [call, head, tracer])["result"]
    failed = done["status"] == "0x0"
    reverted = failed and done["error"]["code"] == 3
    return {
        "success": not failed,
        "output": done["returnData"] if not failed or reverted else "0x",
        "gas": int(done["gasUsed"], 16),
        "logs": [[l["address"].lower(), l["topics"], l["data"]] for l in done["logs"]],
        "world": after(case, diff),
    }


def after(case, diff):
    """The world after the changes of a trace."""
    world = {a: {**account, "storage": dict(account["storage"])} for a, account in case["world"].items()}
    for address, change in diff["post"].items():
        account = world.setdefault(address.lower(), {"balance": 0, "nonce": 0, "code": "0x", "storage": {}})
        account["balance"] = int(change["balance"], 16) if "balance" in change else account["balance"]
        account["nonce"] = change.get("nonce", account["nonce"])
        account["code"] = change.get("code", account["code"])
        for key, value in change.get("storage", {}).items():
            account["storage"][int(key, 16)] = int(value, 16)
    for address, old in diff["pre"].items():
        account, post = world.get(address.lower()), diff["post"].get(address)
        if account is None:
            continue
        for key in old.get("storage", {}):
            # A slot that the transaction cleared is in `pre` only.
            if post is None or key not in post.get("storage", {}):
                account["storage"][int(key, 16)] = 0
        if post is None:
            account.update(balance=0, nonce=0, code="0x", storage={})
    return spec.tidy(world)


def compare(layer, case, wanted, got):
    """What differs, as text; nothing when they agree."""
    if "refused" in got or "refused" in wanted:
        same = ("refused" in got) == ("refused" in wanted)
        return None if same else f"{layer}: {wanted.get('refused')} / {got.get('refused')}"
    fields = ["success", "output", "logs", "world"] + (["gas"] if layer == "L1" else [])
    for field in fields:
        # The sender's nonce: simulations leave it to the chain whether it moves.
        mine, theirs = got[field], wanted[field]
        if field == "world":
            mine, theirs = ({a: v for a, v in w.items() if a not in ignored(case)} for w in (mine, theirs))
        if mine != theirs:
            return f"{layer}: {field}\n  specification {json.dumps(theirs)}\n  node          {json.dumps(mine)}"
    return None


def ignored(case):
    return {case["tx"]["from"], case["env"]["coinbase"]}


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    urls = [("L1", NETWORK["l1"]["http"]), ("L2", NETWORK["l2"]["http"])]
    chain_ids = {"L1": NETWORK["l1"]["chain_id"], "L2": NETWORK["l2"]["chain_id"]}
    differences, succeeded = 0, 0
    for index in range(count):
        case = programs.case(random.Random(f"{seed}/{index}"))
        for layer, url in urls:
            here, head = on_head(url, case)
            wanted = spec.execute(here, chain_ids[layer])
            succeeded += wanted.get("success", False)
            different = compare(layer, here, wanted, executed(url, here, head))
            if different:
                differences += 1
                print(f"case {index} of seed {seed}: {different}\n{json.dumps(here)}", file=sys.stderr)
    print(f"{count} cases on L1 and L2 (seed {seed}): {succeeded} succeeded, {differences} differ")
    sys.exit(1 if differences else 0)


main()
