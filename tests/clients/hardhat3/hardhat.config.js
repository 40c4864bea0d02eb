// A stock project: its only network is the one that the matrix started.
import { fileURLToPath } from "node:url";
import ethers from "@nomicfoundation/hardhat-ethers";

const network = JSON.parse(process.env.CAIRN_NETWORK);

export default {
  plugins: [ethers],
  // The compiler comes from npm, not from a download.
  solidity: {
    version: "0.8.37",
    path: fileURLToPath(new URL("./node_modules/solc/soljson.js", import.meta.url)),
  },
  networks: { cairn: { type: "http", url: network.l2.http, accounts: [network.accounts[Number(process.env.CAIRN_ACCOUNT ?? 0)].key] } },
};
