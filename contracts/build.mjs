#!/usr/bin/env node
// Compiles src/ with npm solc and writes artifacts/<Name>.json, one per contract that is deployed or read by the Rust side.
// `src/l1/verifier` is arithmetic from end to end and is compiled for speed, by way of the intermediate representation; all else for size.
// `--check` compiles and compares instead of writing. The output depends only on the sources and the locked packages.
import { createRequire } from 'node:module';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const require = createRequire(join(root, 'package.json'));
const solc = require('solc');
const settings = JSON.parse(readFileSync(join(root, 'solc.json'), 'utf8'));
const { contracts, runtime, predeploys } = JSON.parse(readFileSync(join(root, 'artifacts.config.json'), 'utf8'));
const out = join(root, 'artifacts');

function sources(dir) {
  return readdirSync(dir, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((e) => (e.isDirectory() ? sources(join(dir, e.name)) : e.name.endsWith('.sol') ? [join(dir, e.name)] : []));
}

const fast = { ...settings, viaIR: true, optimizer: { ...settings.optimizer, runs: 1000000 } };
const isFast = (file) => file.startsWith('src/l1/verifier/');

function compile() {
  return { ...compileWith(settings, () => true), ...compileWith(fast, isFast) };
}

function compileWith(settings, wanted) {
  const input = { language: 'Solidity', sources: {}, settings };
  for (const file of sources(join(root, 'src')).filter((f) => wanted(relative(root, f)))) {
    input.sources[relative(root, file)] = { content: readFileSync(file, 'utf8') };
  }
  for (const path of Object.keys(contracts)) {
    if (path.startsWith('@') && wanted(path)) input.sources[path] = { content: readFileSync(require.resolve(path), 'utf8') };
  }
  const findImport = (path) => {
    try {
      return { contents: readFileSync(path.startsWith('@') ? require.resolve(path) : join(root, path), 'utf8') };
    } catch (e) {
      return { error: String(e) };
    }
  };
  const result = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));
  const problems = (result.errors ?? []).filter((e) => e.severity === 'error' || (e.severity === 'warning' && e.sourceLocation?.file?.startsWith('src/')));
  for (const e of problems) console.error(e.formattedMessage);
  if (problems.length) process.exit(1);
  return result.contracts;
}

function artifacts(compiled) {
  const files = new Map();
  const put = (name, value) => files.set(`${name}.json`, JSON.stringify(value) + '\n');
  for (const [path, names] of Object.entries(contracts)) {
    for (const name of names) {
      const c = compiled[path]?.[name];
      if (!c) throw new Error(`${path} has no contract ${name}`);
      const size = c.evm.deployedBytecode.object.length / 2;
      if (size > 24576) throw new Error(`${name} has ${size} bytes of code, more than 24576`);
      put(name, { abi: c.abi, bytecode: '0x' + c.evm.bytecode.object, deployedBytecode: '0x' + c.evm.deployedBytecode.object });
    }
  }
  for (const [name, code] of Object.entries(runtime)) put(name, { abi: [], bytecode: '0x', deployedBytecode: code });
  for (const p of predeploys) {
    if (!files.has(`${p.name}.json`)) throw new Error(`predeploy ${p.name} has no artifact`);
    // Genesis writes runtime code: a constructor would never run.
    const refs = compiled[`src/l2/${p.name}.sol`]?.[p.name].evm.deployedBytecode.immutableReferences ?? {};
    if (Object.keys(refs).length) throw new Error(`predeploy ${p.name} has immutables`);
  }
  put('predeploys', predeploys);
  return files;
}

const files = artifacts(compile());
const present = () => readdirSync(out).filter((f) => f.endsWith('.json'));
mkdirSync(out, { recursive: true });
if (process.argv.includes('--check')) {
  const read = (f) => {
    try {
      return readFileSync(join(out, f), 'utf8');
    } catch {
      return '';
    }
  };
  const stale = [...files].filter(([f, text]) => read(f) !== text).map(([f]) => f);
  const extra = present().filter((f) => !files.has(f));
  if (stale.length || extra.length) {
    console.error(`artifacts do not match their sources: ${[...stale, ...extra].join(', ')}\nrun: cargo xtask contracts build`);
    process.exit(1);
  }
  console.log(`${files.size} artifacts match their sources`);
} else {
  for (const f of present()) if (!files.has(f)) rmSync(join(out, f));
  for (const [f, text] of files) writeFileSync(join(out, f), text);
  console.log(`${files.size} artifacts written`);
}
