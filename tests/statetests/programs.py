"""Random worlds and programs that mostly run: the generator keeps account of the stack and jumps forward only."""

CONTRACTS = [f"0x{0xc0de0000 + i:040x}" for i in range(3)]
SENDER = "0x" + "5e" * 20
POOR = "0x" + "b0" * 20
COINBASE = "0x" + "c0" * 20

# Opcodes by (items taken, items given); memory offsets and the like are made small before them.
PLAIN = {
    0x01: (2, 1), 0x02: (2, 1), 0x03: (2, 1), 0x04: (2, 1), 0x05: (2, 1), 0x06: (2, 1), 0x07: (2, 1), 0x08: (3, 1), 0x09: (3, 1),
    0x0A: (2, 1), 0x0B: (2, 1), 0x10: (2, 1), 0x11: (2, 1), 0x12: (2, 1), 0x13: (2, 1), 0x14: (2, 1), 0x15: (1, 1), 0x16: (2, 1),
    0x17: (2, 1), 0x18: (2, 1), 0x19: (1, 1), 0x1A: (2, 1), 0x1B: (2, 1), 0x1C: (2, 1), 0x1D: (2, 1), 0x1E: (1, 1), 0x30: (0, 1),
    0x32: (0, 1), 0x33: (0, 1), 0x34: (0, 1), 0x35: (1, 1), 0x36: (0, 1), 0x38: (0, 1), 0x3A: (0, 1), 0x3D: (0, 1), 0x41: (0, 1),
    0x42: (0, 1), 0x43: (0, 1), 0x44: (0, 1), 0x46: (0, 1), 0x47: (0, 1), 0x48: (0, 1), 0x49: (1, 1), 0x50: (1, 0), 0x58: (0, 1),
    0x59: (0, 1), 0x5A: (0, 1), 0x5F: (0, 1),
}
INTERESTING = [0, 1, 2, 31, 32, 255, 256, (1 << 64) - 1, 1 << 64, (1 << 128) - 1, (1 << 255) - 1, 1 << 255, (1 << 256) - 1]


class Writer:
    def __init__(self, rng, others):
        self.rng, self.others, self.code, self.height = rng, others, bytearray(), 0

    def op(self, code, takes=0, gives=0):
        self.code.append(code)
        self.height += gives - takes

    def push(self, n):
        data = n.to_bytes(max(1, (n.bit_length() + 7) // 8), "big")
        self.code += bytes([0x5F + len(data)]) + data
        self.height += 1

    def value(self):
        rng = self.rng
        kind = rng.random()
        if kind < 0.4:
            self.push(rng.choice(INTERESTING))
        elif kind < 0.7:
            self.push(rng.randrange(64))
        elif kind < 0.9:
            self.push(rng.getrandbits(256))
        else:
            self.push(int(rng.choice(self.others), 16))

    def small(self, most=200):
        self.push(self.rng.randrange(most))

    def slot(self):
        self.push(self.rng.randrange(5))

    def target(self):
        rng = self.rng
        if rng.random() < 0.25:
            self.push(rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 0x0B, 0x100]))
        else:
            self.push(int(rng.choice(self.others), 16))

    def need(self, count):
        while self.height < count:
            self.value()

    def step(self):
        rng = self.rng
        kind = rng.random()
        if kind < 0.42:
            code = rng.choice(list(PLAIN))
            takes, gives = PLAIN[code]
            self.need(takes)
            self.op(code, takes, gives)
        elif kind < 0.50:
            self.value()
        elif kind < 0.56 and self.height:
            n = rng.randrange(min(self.height, 16))
            if rng.random() < 0.5:
                self.op(0x80 + n, 0, 1)
            elif self.height > n + 1:
                self.op(0x90 + n)
        else:
            rng.choice([self.memory, self.memory, self.storage, self.storage, self.copy, self.log, self.account, self.call, self.call, self.branch, self.create])()
        # The stack stays far from its limit.
        while self.height > 60:
            self.op(0x50, 1, 0)

    def memory(self):
        kind = self.rng.randrange(4)
        if kind == 0:
            self.value(), self.small()
            self.op(0x52, 2, 0)
        elif kind == 1:
            self.value(), self.small()
            self.op(0x53, 2, 0)
        elif kind == 2:
            self.small()
            self.op(0x51, 1, 1)
        else:
            self.small(), self.small()
            self.op(0x20, 2, 1)

    def storage(self):
        kind = self.rng.randrange(4)
        if kind == 0:
            self.slot()
            self.op(0x54, 1, 1)
        elif kind == 1:
            self.value() if self.rng.random() < 0.7 else self.push(0)
            self.slot()
            self.op(0x55, 2, 0)
        elif kind == 2:
            self.slot()
            self.op(0x5C, 1, 1)
        else:
            self.value(), self.slot()
            self.op(0x5D, 2, 0)

    def copy(self):
        code = self.rng.choice([0x37, 0x39, 0x3E, 0x5E, 0x3C])
        # RETURNDATACOPY beyond what there is fails: seldom.
        self.push(0) if code == 0x3E and self.rng.random() < 0.9 else self.small(80)
        self.push(0) if code == 0x3E else self.small(80)
        self.small(80)
        if code == 0x3C:
            self.target()
        self.op(code, 4 if code == 0x3C else 3, 0)

    def log(self):
        topics = self.rng.randrange(5)
        for _ in range(topics):
            self.value()
        self.small(64), self.small()
        self.op(0xA0 + topics, topics + 2, 0)

    def account(self):
        self.target()
        self.op(self.rng.choice([0x31, 0x3B, 0x3F]), 1, 1)

    def call(self):
        code = self.rng.choice([0xF1, 0xF1, 0xF2, 0xF4, 0xFA])
        self.small(64), self.small(), self.small(96), self.small()
        if code in (0xF1, 0xF2):
            self.push(self.rng.choice([0, 0, 0, 1, 7, 1 << 100]))
        self.target()
        if self.rng.random() < 0.5:
            self.op(0x5A, 0, 1)
        else:
            self.push(self.rng.choice([0, 100, 3_000, 50_000]))
        self.op(code, 7 if code in (0xF1, 0xF2) else 6, 1)

    def create(self):
        if self.rng.random() < 0.5:
            return
        # Init code that returns a few bytes of its memory, or what memory happens to hold.
        if self.rng.random() < 0.7:
            init = bytes.fromhex("60aa5f5360055ff3") if self.rng.random() < 0.8 else bytes.fromhex("60ef5f5360015ff3")
            self.push(int.from_bytes(init.ljust(32, b"\0"), "big"))
            self.push(0)
            self.op(0x52, 2, 0)
        if self.rng.random() < 0.5:
            self.small(3), self.push(32), self.push(0), self.push(self.rng.choice([0, 0, 1]))
            self.op(0xF5, 4, 1)
        else:
            self.push(32), self.push(0), self.push(self.rng.choice([0, 0, 1]))
            self.op(0xF0, 3, 1)

    def branch(self):
        """A forward jump over a few instructions that leave the stack as it is."""
        skipped = Writer(self.rng, self.others)
        for _ in range(self.rng.randrange(3)):
            skipped.memory() if self.rng.random() < 0.5 else skipped.storage()
            while skipped.height > 0:
                skipped.op(0x50, 1, 0)
        self.need(1)
        target = len(self.code) + 4 + len(skipped.code)
        # PUSH2 target JUMPI, what is skipped, JUMPDEST
        self.code += bytes([0x61, *target.to_bytes(2, "big"), 0x57]) + skipped.code + b"\x5b"
        self.height -= 1

    def end(self):
        kind = self.rng.random()
        if kind < 0.5:
            self.small(96), self.small()
            self.op(0xF3, 2, 0)
        elif kind < 0.65:
            self.small(96), self.small()
            self.op(0xFD, 2, 0)
        elif kind < 0.72:
            self.target()
            self.op(0xFF, 1, 0)
        elif kind < 0.76:
            self.op(self.rng.choice([0xFE, 0x0C, 0x21, 0x4A]))
        else:
            self.op(0x00)


def program(rng, others, length):
    writer = Writer(rng, others)
    for _ in range(length):
        writer.step()
    writer.end()
    return bytes(writer.code)


def case(rng):
    """One world and one transaction."""
    others = CONTRACTS + [POOR]
    world = {
        SENDER: {"balance": 10**18, "nonce": 3, "code": "0x", "storage": {}},
        POOR: {"balance": rng.choice([0, 5]), "nonce": 0, "code": "0x", "storage": {}},
    }
    for who in CONTRACTS:
        storage = {rng.randrange(5): rng.choice(INTERESTING) for _ in range(rng.randrange(4))}
        code = program(rng, others, rng.randrange(5, 60))
        world[who] = {"balance": rng.choice([0, 1, 1000]), "nonce": 1, "code": "0x" + code.hex(), "storage": {k: v for k, v in storage.items() if v}}
    creates = rng.random() < 0.1
    data = program(rng, others, 20) if creates else rng.randbytes(rng.randrange(100))
    tx = {
        "from": SENDER, "to": None if creates else rng.choice(CONTRACTS), "gas": 800_000, "nonce": 3,
        "value": rng.choice([0, 0, 1, 12345]), "data": "0x" + data.hex(),
        "access": [(rng.choice(CONTRACTS), [rng.randrange(5)])] if rng.random() < 0.3 else [],
    }
    env = {
        "number": 10**6 + rng.randrange(1000), "time": 4 * 10**9 + rng.randrange(1000), "coinbase": COINBASE,
        "randao": 2_500_000_000_000_000, "gas_limit": 30_000_000,
    }
    return {"world": world, "tx": tx, "env": env}
