// Uniswap v2's core as its package ships it: years-old bytecode, CREATE2, callbacks and oracles.
import { createRequire } from "node:module";
import { Contract, ContractFactory, JsonRpcProvider, NonceManager, Wallet, getCreate2Address, keccak256, parseEther, solidityPackedKeccak256 } from "ethers";
import { L2, assert, matrix, own, token as erc20, versionOf } from "./cell.mjs";

const require = createRequire(import.meta.url);
const built = (name) => require(`@uniswap/v2-core/build/${name}.json`);
const { cell, end } = matrix("Uniswap v2 core", versionOf("@uniswap/v2-core"));
const provider = new JsonRpcProvider(L2, undefined, { cacheTimeout: -1, polling: true });
provider.pollingInterval = 100;
const wallet = new NonceManager(new Wallet(own.key, provider));
const me = own.address;

// The pair writes its price oracle only once a second: an estimate within the same second as the last block would be too low for the next.
const GAS = { gasLimit: 500_000n };
const mined = async (tx) => (await tx).wait();
let factory, pair, tokens;

async function deploy({ abi, bytecode }, ...args) {
  return (await new ContractFactory(abi, bytecode, wallet).deploy(...args)).waitForDeployment();
}

await cell("factory and pair at its CREATE2 address", async () => {
  const two = [await deploy(erc20, "One", "ONE", 18), await deploy(erc20, "Two", "TWO", 18)];
  const sorted = await Promise.all(two.map(async (c) => [(await c.getAddress()).toLowerCase(), c]));
  sorted.sort(([a], [b]) => (a < b ? -1 : 1));
  tokens = sorted.map(([, c]) => c);
  factory = await deploy(built("UniswapV2Factory"), me);
  const addresses = await Promise.all(tokens.map((c) => c.getAddress()));
  await mined(factory.createPair(...addresses));
  const salt = solidityPackedKeccak256(["address", "address"], addresses);
  const { bytecode } = built("UniswapV2Pair");
  const expected = getCreate2Address(await factory.getAddress(), salt, keccak256(bytecode.startsWith("0x") ? bytecode : `0x${bytecode}`));
  assert((await factory.getPair(...addresses)) === expected, "the pair's address");
  pair = new Contract(expected, built("UniswapV2Pair").abi, wallet);
});

await cell("liquidity", async () => {
  for (const [token, amount] of [[tokens[0], parseEther("100")], [tokens[1], parseEther("400")]]) {
    await mined(token.mint(me, parseEther("1000")));
    await mined(token.transfer(await pair.getAddress(), amount));
  }
  await mined(pair.mint(me, GAS));
  // sqrt(100 * 400) less the minimum that stays locked.
  assert((await pair.balanceOf(me)) === parseEther("200") - 1000n, "the liquidity tokens");
});

await cell("swap with fee, and the oracle's price", async () => {
  const amountIn = parseEther("10");
  const [in0, out1] = await pair.getReserves();
  const withFee = amountIn * 997n;
  const amountOut = (withFee * out1) / (in0 * 1000n + withFee);
  const before = await tokens[1].balanceOf(me);
  await mined(tokens[0].transfer(await pair.getAddress(), amountIn));
  try {
    await pair.swap.staticCall(0n, amountOut + 1n, me, "0x");
    throw new Error("it gave too much");
  } catch (e) {
    assert(String(e).includes("UniswapV2: K"), `the invariant's refusal, not ${e}`);
  }
  await mined(pair.swap(0n, amountOut, me, "0x", GAS));
  assert((await tokens[1].balanceOf(me)) === before + amountOut, "what came out");
  const [reserve0] = await pair.getReserves();
  assert(reserve0 === in0 + amountIn, "the reserve");
  assert((await pair.price0CumulativeLast()) >= 0n, "the oracle");
});

await cell("removal of liquidity", async () => {
  await mined(pair.transfer(await pair.getAddress(), parseEther("50")));
  await mined(pair.burn(me, GAS));
  assert((await pair.balanceOf(me)) === parseEther("150") - 1000n, "the liquidity tokens that are left");
});

end();
