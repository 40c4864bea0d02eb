// A stock project: its only network is the one that the matrix started.
const { subtask } = require("hardhat/config");
const { TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD } = require("hardhat/builtin-tasks/task-names");
require("@nomicfoundation/hardhat-ethers");

const network = JSON.parse(process.env.CAIRN_NETWORK);

// The compiler comes from npm, not from a download.
subtask(TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD, async () => ({
  version: "0.8.37",
  longVersion: require("solc").version(),
  compilerPath: require.resolve("solc/soljson.js"),
  isSolcJs: true,
}));

module.exports = {
  solidity: "0.8.37",
  networks: { cairn: { url: network.l2.http, accounts: [network.accounts[Number(process.env.CAIRN_ACCOUNT ?? 0)].key] } },
};
