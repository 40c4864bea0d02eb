// Who signs: a browser wallet (EIP-1193, found by EIP-6963 or `window.ethereum`), or, on a development node, its own accounts.

import { post } from "./api.js";
import { base } from "./format.js";

const found = new Map();

addEventListener("eip6963:announceProvider", (event) => {
  const detail = event.detail;
  if (detail && detail.info && detail.provider && found.size < 16) found.set(String(detail.info.uuid), detail);
});
dispatchEvent(new Event("eip6963:requestProvider"));

// Wallets of this browser: [{id, name, provider}].
export function wallets() {
  const all = [...found.values()].map((d) => ({ id: String(d.info.uuid), name: String(d.info.name).slice(0, 40), provider: d.provider }));
  if (!all.length && window.ethereum) all.push({ id: "injected", name: "Browser wallet", provider: window.ethereum });
  return all;
}

function message(error) {
  const inner = error && error.data && error.data.message;
  return new Error(String(inner || (error && error.message) || error));
}

class BrowserWallet {
  constructor(choice, account, info) {
    this.name = choice.name;
    this.account = account;
    this.provider = choice.provider;
    this.info = info;
  }

  // Puts the wallet on the layer's network, adding it when the wallet does not know it.
  async use(layer) {
    const id = layer === "l1" ? this.info.l1ChainId : this.info.chainId;
    const chainId = "0x" + id.toString(16);
    const now = await this.provider.request({ method: "eth_chainId" });
    if (BigInt(now) === BigInt(id)) return;
    try {
      await this.provider.request({ method: "wallet_switchEthereumChain", params: [{ chainId }] });
    } catch (error) {
      // 4902: unknown network. Some wallets wrap it.
      const code = error && (error.code === 4902 || (error.data && error.data.originalError && error.data.originalError.code === 4902));
      if (!code) throw message(error);
      const rpc = layer === "l1" ? this.info.l1Rpc : this.info.rpc;
      if (!rpc) throw new Error("your wallet does not know the network with chain id " + id + "; add it there first");
      await this.provider.request({
        method: "wallet_addEthereumChain",
        params: [{
          chainId,
          chainName: layer === "l1" ? this.info.name + " L1" : this.info.name,
          rpcUrls: [rpc],
          nativeCurrency: { name: base.name, symbol: base.symbol, decimals: base.decimals },
          blockExplorerUrls: layer === "l1" ? undefined : [location.origin],
        }],
      });
    }
  }

  async send(layer, tx) {
    await this.use(layer);
    try {
      return await this.provider.request({ method: "eth_sendTransaction", params: [{ from: this.account, to: tx.to, value: tx.value, data: tx.data }] });
    } catch (error) {
      throw message(error);
    }
  }
}

class DevWallet {
  constructor(account) {
    this.name = "Development account";
    this.account = account;
  }

  async send(layer, tx) {
    const sent = await post("/dev/send", { layer, from: this.account, to: tx.to, value: tx.value, data: tx.data });
    return sent.hash;
  }
}

export async function connect(choice, info) {
  try {
    const accounts = await choice.provider.request({ method: "eth_requestAccounts" });
    if (!accounts || !/^0x[0-9a-fA-F]{40}$/.test(accounts[0])) throw new Error("the wallet shares no account");
    return new BrowserWallet(choice, accounts[0], info);
  } catch (error) {
    throw message(error);
  }
}

export function development(account) {
  return new DevWallet(account);
}
