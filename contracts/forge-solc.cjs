#!/usr/bin/env node
// Lets forge compile with npm's solc, so that tests need no native compiler and use the very one that makes the artifacts.
const solc = require('solc');
const { readFileSync } = require('node:fs');
const args = process.argv.slice(2);
if (args.includes('--version')) {
  const version = solc.version().replace('.Emscripten.clang', '.Linux.g++');
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${version}`);
} else if (args.includes('--standard-json')) {
  process.stdout.write(solc.compile(readFileSync(0, 'utf8')));
} else {
  console.error(`forge-solc: unsupported arguments: ${args.join(' ')}`);
  process.exit(1);
}
