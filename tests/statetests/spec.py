"""Ethereum's executable specification (PyPI `ethereum-execution`) at the fork that Cairn runs."""
from ethereum.crypto.hash import Hash32
from ethereum.forks.bpo2 import fork, state, vm
from ethereum.forks.bpo2.fork_types import Account, Address
from ethereum.forks.bpo2.transactions import Access, AccessListTransaction
from ethereum_types.bytes import Bytes, Bytes0, Bytes32
from ethereum_types.numeric import U64, U256, Uint

captured = {}
message_call = fork.process_message_call


def capture(message):
    captured["output"] = message_call(message)
    return captured["output"]


# The sender is taken on trust and pays no fee, as in a simulation.
fork.process_message_call = capture
fork.check_transaction = lambda block_env, block_output, tx: (captured["sender"], Uint(0), (), U64(0))


def address(text):
    return Address(bytes.fromhex(text[2:]))


def tidy(world):
    """Without empty accounts and zero slots."""
    out = {}
    for who, account in world.items():
        storage = {k: v for k, v in account["storage"].items() if v}
        if storage or account["balance"] or account["nonce"] or account["code"] != "0x":
            out[who] = {**account, "storage": dict(sorted(storage.items()))}
    return out


def execute(case, chain_id):
    """What the specification makes of a case."""
    env, tx = case["env"], case["tx"]
    world = state.State()
    for who, account in case["world"].items():
        code = Bytes(bytes.fromhex(account["code"][2:]))
        state.set_account(world, address(who), Account(Uint(account["nonce"]), U256(account["balance"]), code))
        for key, value in account["storage"].items():
            state.set_storage(world, address(who), Bytes32(key.to_bytes(32, "big")), U256(value))
    block = vm.BlockEnvironment(
        chain_id=U64(chain_id), state=world, block_gas_limit=Uint(env["gas_limit"]), block_hashes=[],
        coinbase=address(env["coinbase"]), number=Uint(env["number"]), base_fee_per_gas=Uint(0), time=U256(env["time"]),
        prev_randao=Bytes32(env["randao"].to_bytes(32, "big")), excess_blob_gas=U64(0),
        parent_beacon_block_root=Hash32(bytes(32)),
    )
    access = tuple(
        Access(account=address(a), slots=tuple(Bytes32(k.to_bytes(32, "big")) for k in keys)) for a, keys in tx["access"]
    )
    signed = AccessListTransaction(
        chain_id=U64(chain_id), nonce=U256(tx["nonce"]), gas_price=Uint(0), gas=Uint(tx["gas"]),
        to=Bytes0() if tx["to"] is None else address(tx["to"]), value=U256(tx["value"]),
        data=Bytes(bytes.fromhex(tx["data"][2:])), access_list=access, y_parity=U256(0), r=U256(0), s=U256(0),
    )
    captured["sender"] = address(tx["from"])
    output = vm.BlockOutput()
    balance = next(a["balance"] for who, a in case["world"].items() if who == tx["from"])
    if balance < tx["value"]:
        return {"refused": "the sender cannot pay"}
    fork.process_transaction(block, output, signed, Uint(0))
    done = captured["output"]
    reverted = done.error is not None and type(done.error).__name__ == "Revert"
    data = done.return_data if done.error is None or reverted else b""
    return {
        "success": done.error is None,
        "output": "0x" + bytes(data).hex(),
        "gas": int(output.block_gas_used),
        "logs": [["0x" + bytes(l.address).hex(), ["0x" + bytes(t).hex() for t in l.topics], "0x" + bytes(l.data).hex()] for l in done.logs],
        "world": tidy(dump(world)),
    }


def dump(world):
    out = {}
    for who, account in world._main_trie._data.items():
        if account is None:
            continue
        trie = world._storage_tries.get(who)
        slots = {} if trie is None else trie._data
        out["0x" + bytes(who).hex()] = {
            "balance": int(account.balance), "nonce": int(account.nonce), "code": "0x" + bytes(account.code).hex(),
            "storage": {int.from_bytes(k, "big"): int(v) for k, v in slots.items()},
        }
    return out
