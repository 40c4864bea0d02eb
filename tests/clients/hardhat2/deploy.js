// `hardhat run deploy.js`
const { ethers } = require("hardhat");

async function main() {
  const lock = await ethers.deployContract("Lock", [1n], { value: 1n });
  await lock.waitForDeployment();
  console.log(`deployed ${await lock.getAddress()}`);
}

main().catch((e) => {
  console.error(e);
  process.exitCode = 1;
});
