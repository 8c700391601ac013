// node wasi_run.mjs PROGRAM ARGUMENT...: runs a WASI program with all files, variables and streams of this one.
import { readFile } from 'node:fs/promises';
import { argv, cwd, env, exit } from 'node:process';
import { WASI } from 'node:wasi';

const wasi = new WASI({ version: 'preview1', args: argv.slice(2), env: { ...env, PWD: cwd() }, preopens: { '/': '/' } });
const program = await WebAssembly.compile(await readFile(argv[2]));
// Called by WebAssembly itself these would be V8's fast calls, in which nothing may collect garbage. Node's allocate and
// do: every pointer on the stack below is stale then (nodejs/node#46777). Through a function they are ordinary calls.
const calls = Object.entries(wasi.wasiImport).map(([name, call]) => [name, (...values) => call(...values)]);
const instance = await WebAssembly.instantiate(program, { wasi_snapshot_preview1: Object.fromEntries(calls) });
exit(wasi.start(instance));
