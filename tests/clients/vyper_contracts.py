"""Contracts written in Vyper, compiled by its own package and used through web3.py."""
import vyper
from web3.exceptions import ContractLogicError

from web3_client import Client, cells

client = Client()
cell = cells("Vyper", vyper.__version__)

TOKEN = """
# pragma version ^0.4.0
event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    value: uint256

name: public(String[32])
balanceOf: public(HashMap[address, uint256])
totalSupply: public(uint256)

@deploy
def __init__(name: String[32], supply: uint256):
    self.name = name
    self.balanceOf[msg.sender] = supply
    self.totalSupply = supply

@external
def transfer(to: address, amount: uint256) -> bool:
    assert self.balanceOf[msg.sender] >= amount, "too little"
    self.balanceOf[msg.sender] -= amount
    self.balanceOf[to] += amount
    log Transfer(sender=msg.sender, receiver=to, value=amount)
    return True
"""

AUCTION = """
# pragma version ^0.4.0
beneficiary: public(address)
highest_bidder: public(address)
highest_bid: public(uint256)
refunds: HashMap[address, uint256]
closed: public(bool)

@deploy
def __init__(beneficiary: address):
    self.beneficiary = beneficiary

@external
@payable
def bid():
    assert not self.closed, "closed"
    assert msg.value > self.highest_bid, "outbid"
    self.refunds[self.highest_bidder] += self.highest_bid
    self.highest_bidder = msg.sender
    self.highest_bid = msg.value

@external
@nonreentrant
def close():
    assert not self.closed, "closed"
    self.closed = True
    send(self.beneficiary, self.highest_bid)
"""

MATH = """
# pragma version ^0.4.0
# pragma enable-decimals
@external
@pure
def root(x: uint256) -> uint256:
    return isqrt(x)

@external
@view
def recovered(digest: bytes32, v: uint256, r: uint256, s: uint256) -> address:
    return ecrecover(digest, v, r, s)

@external
@pure
def half(x: decimal) -> decimal:
    return x / 2.0
"""


def deploy(source, *args):
    out = vyper.compile_code(source, output_formats=["abi", "bytecode"])
    return client.deploy(out["abi"], out["bytecode"], *args)


def token():
    contract = deploy(TOKEN, "Snake", 1000)
    receipt = client.transact(contract.functions.transfer(client.friend, 10))
    assert contract.functions.balanceOf(client.friend).call() == 10
    assert contract.functions.name().call() == "Snake"
    [event] = contract.events.Transfer().process_receipt(receipt)
    assert event["args"]["value"] == 10
    try:
        contract.functions.transfer(client.friend, 10**9).call({"from": client.me.address})
    except ContractLogicError as e:
        assert "too little" in str(e), e
    else:
        raise AssertionError("it did not revert")


def auction():
    contract = deploy(AUCTION, client.friend)
    before = client.w3.eth.get_balance(client.friend)
    client.transact(contract.functions.bid(), value=7)
    client.transact(contract.functions.close())
    assert client.w3.eth.get_balance(client.friend) == before + 7
    assert contract.functions.highest_bidder().call() == client.me.address


def builtins():
    contract = deploy(MATH)
    assert contract.functions.root(10**20 + 1).call() == 10**10
    digest = client.w3.keccak(text="snake")
    signed = client.me.unsafe_sign_hash(digest)
    found = contract.functions.recovered(digest, signed.v, signed.r, signed.s).call()
    assert found == client.me.address
    assert contract.functions.half(3 * 10**10).call() == 15 * 10**9


cell("a token: events, revert reasons", token)
cell("an auction: value, nonreentrant", auction)
cell("built-ins: isqrt, ecrecover, decimals", builtins)
cell.end()
