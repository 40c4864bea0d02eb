const assert = require("node:assert/strict");
const { ethers } = require("hardhat");

describe("Lock", function () {
  this.timeout(60_000);
  const deploy = (at) => ethers.deployContract("Lock", [at], { value: 7n });

  it("holds what it was given", async function () {
    const lock = await deploy(1n);
    await lock.waitForDeployment();
    assert.equal(await ethers.provider.getBalance(lock), 7n);
    assert.equal(await lock.unlockTime(), 1n);
  });

  it("pays its owner out, with an event", async function () {
    const lock = await deploy(1n);
    await lock.waitForDeployment();
    const receipt = await (await lock.withdraw()).wait();
    assert.equal(lock.interface.parseLog(receipt.logs[0]).args.amount, 7n);
    assert.equal(await ethers.provider.getBalance(lock), 0n);
  });

  it("refuses before the time, and says until when", async function () {
    const lock = await deploy(2n ** 40n);
    await lock.waitForDeployment();
    const reason = lock.interface.encodeErrorResult("TooEarly", [2n ** 40n]);
    await assert.rejects(lock.withdraw(), (e) => e.data === reason || e.data?.data === reason);
    await assert.rejects(deploy(0n), /no time/);
  });
});
