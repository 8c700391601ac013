// node wasi_run.mjs PROGRAM ARGUMENT...: runs a WASI program with all files, variables and streams of this one.
import { readFile } from 'node:fs/promises';
import { argv, cwd, env, exit } from 'node:process';
import { WASI } from 'node:wasi';

const wasi = new WASI({ version: 'preview1', args: argv.slice(2), env: { ...env, PWD: cwd() }, preopens: { '/': '/' } });
const program = await WebAssembly.compile(await readFile(argv[2]));
const instance = await WebAssembly.instantiate(program, wasi.getImportObject());
exit(wasi.start(instance));
