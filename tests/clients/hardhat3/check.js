// `hardhat run check.js`: deploys and uses the sample contract.
import assert from "node:assert/strict";
import { network } from "hardhat";

const { ethers } = await network.connect();
const lock = await ethers.deployContract("Lock", [1n], { value: 7n });
await lock.waitForDeployment();
assert.equal(await ethers.provider.getBalance(lock), 7n);
const receipt = await (await lock.withdraw()).wait();
assert.equal(lock.interface.parseLog(receipt.logs[0]).args.amount, 7n);
const late = await ethers.deployContract("Lock", [2n ** 40n], { value: 7n });
await late.waitForDeployment();
const reason = late.interface.encodeErrorResult("TooEarly", [2n ** 40n]);
await assert.rejects(late.withdraw(), (e) => e.data === reason || e.data?.data === reason);
console.log("all is well");
