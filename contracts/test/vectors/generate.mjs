#!/usr/bin/env node
// Writes (or with --check compares) public_input.json: formats that Solidity and Rust must agree on, computed here a third time from ARCHITECTURE.md.
import { createRequire } from 'node:module';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(join(here, '../../package.json'));
const { keccak256 } = require(require.resolve('js-sha3', { paths: [dirname(require.resolve('solc'))] }));

const hash = (hex) => '0x' + keccak256(Buffer.from(hex.replace(/0x/g, ''), 'hex'));
const text = (s) => '0x' + keccak256(Buffer.from(s));
const word = (v) => (typeof v === 'string' ? v.slice(2) : BigInt(v).toString(16)).padStart(64, '0');
const words = (...vs) => '0x' + vs.map(word).join('');
const address = (s) => '0x' + text(s).slice(26);
const bytes = (hex) => {
  const body = hex.slice(2);
  return word(body.length / 2) + body.padEnd(Math.ceil(body.length / 64) * 64, '0');
};

const chain_config = {
  chain_id: 2711,
  settlement_chain_id: 31337,
  base_token_asset_id: hash(words(31337, 0x10004, 1)),
  da_policy: 0,
};
const fee_params = { base_fee: 123456789, gas_per_pubdata: 321 };
const fee_params_hash = hash(words(fee_params.base_fee, fee_params.gas_per_pubdata));
const chain_config_hash = hash(words(...Object.values(chain_config)));

// Two queued operations; the batch consumes both.
function canonical(tx) {
  const head = 19 * 32;
  const data = bytes(tx.data);
  const empty = word(0);
  const offsets = [head, head + data.length / 2];
  for (let i = 0; i < 3; ++i) offsets.push(offsets[offsets.length - 1] + 32);
  return (
    words(0x20, 0x7f, tx.from, tx.to, tx.gas_limit, tx.gas_per_pubdata, tx.max_fee_per_gas, 0, 0, tx.id, tx.value, tx.to_mint, tx.refund_recipient, 0, 0, ...offsets) +
    data + empty.repeat(4)
  );
}
const operations = [0, 1].map((id) => {
  const tx = {
    id,
    from: address(`sender ${id}`),
    to: address(`target ${id}`),
    gas_limit: 200000 + id,
    gas_per_pubdata: 800,
    max_fee_per_gas: 110000000 + id,
    value: 1000 + id,
    to_mint: 30000000000000 + id,
    refund_recipient: address(`refund ${id}`),
    data: id ? '0x' + 'abcdef'.repeat(15) : '0x',
  };
  const encoded = canonical(tx);
  return { ...tx, encoded, hash: hash(encoded) };
});
const priority_ops_hash_before = text('');
const priority_ops_hash_after = operations.reduce((h, o) => hash(words(h, o.hash)), priority_ops_hash_before);

const pubdata = '0x' + Buffer.from('the pubdata of a batch').toString('hex');
const da_commitment = hash(words(0, hash(pubdata), 0x60, 0));

const log = {
  shard_id: 0,
  is_service: true,
  tx_number: 7,
  sender: '0x0000000000000000000000000000000000008008',
  key: '0x' + word(address('message sender')),
  value: text('message'),
};
const log_packed = '0x0001' + '0007' + log.sender.slice(2) + log.key.slice(2) + log.value.slice(2);
const log_leaf = hash(log_packed);
let node = log_leaf;
let empty = hash('00'.repeat(88));
const proof = ['0x010f0001' + '0'.repeat(56)];
for (let i = 0; i < 14; ++i) {
  proof.push(empty);
  node = hash(words(node, empty));
  empty = hash(words(empty, empty));
}
proof.push('0x' + word(0));
const l2_to_l1_root = hash(words(node, 0));

const public_input = {
  protocol_version: 3,
  guest_program_id: text('guest program'),
  chain_id: chain_config.chain_id,
  batch_number: 1,
  first_block: 1,
  last_block: 5,
  first_timestamp: 1800000100,
  last_timestamp: 1800000102,
  prev_state_root: text('genesis state'),
  prev_leaf_count: 2,
  prev_block_hash: text('genesis block'),
  new_state_root: text('new state'),
  new_leaf_count: 99,
  last_block_hash: text('last block'),
  priority_ops_count: operations.length,
  priority_ops_hash_before,
  priority_ops_hash_after,
  l2_to_l1_root,
  da_commitment,
  imported_roots_hash: '0x' + word(0),
  fee_params_hash,
  operator: address('operator'),
  chain_config_hash,
};
const list = Object.values(public_input).map((v) => '0x' + word(v));
if (list.length !== 23) throw new Error('a public input has 23 words');
const public_input_hash = hash(list.join(''));

const stored_batch = {
  batchNumber: 1,
  stateRoot: public_input.new_state_root,
  leafCount: 99,
  lastBlock: 5,
  lastBlockHash: public_input.last_block_hash,
  lastTimestamp: 1800000102,
  priorityOpsCount: operations.length,
  priorityOpsHashAfter: priority_ops_hash_after,
  l2ToL1Root: l2_to_l1_root,
  publicInput: public_input_hash,
};
const attestation = {
  settlement_chain_id: chain_config.settlement_chain_id,
  verifier: address('verifier'),
  public_inputs: [public_input_hash, text('second')],
};
attestation.digest = hash(
  words(text('CAIRN_ATTEST_V1'), attestation.settlement_chain_id, attestation.verifier, hash(attestation.public_inputs.join(''))),
);

const vector = {
  chain_config, chain_config_hash, fee_params, fee_params_hash,
  operations, pubdata, da_commitment,
  log, log_packed, log_leaf, log_proof: proof,
  public_input, words: list, public_input_hash,
  stored_batch, stored_batch_hash: hash(words(...Object.values(stored_batch))),
  attestation,
};
const file = join(here, 'public_input.json');
const out = JSON.stringify(vector, null, 2) + '\n';
if (!process.argv.includes('--check')) writeFileSync(file, out);
else if (readFileSync(file, 'utf8') !== out) {
  console.error('public_input.json is not what generate.mjs computes; run: node test/vectors/generate.mjs');
  process.exit(1);
}
