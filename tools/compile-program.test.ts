import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { build } from './build.mjs';
import { compileProgram } from './compile-program.mjs';

const tagCharacters = 43;

let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-program-'));
  const [host] = await build(['native-host']);
  cpSync(dirname(host?.path ?? ''), folder, { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

const fileAt = (name: string) => join(folder, name);
const programFile = () => fileAt('countersign-program.js');
const compiledFile = () => fileAt('countersign-program.compiled');
const runHost = () =>
  execFileSync(process.execPath, [fileAt('countersign.cjs'), '--version'], {
    encoding: 'utf8',
    env: {},
  });

describe("the host's program", () => {
  it('is taken in its compiled form by the V8 that compiled it', () => {
    const source = readFileSync(programFile(), 'latin1');
    const compiled = readFileSync(compiledFile());
    expect(source.slice(-tagCharacters)).toBe(
      compiled.toString('latin1', compiled.length - tagCharacters),
    );
    const script = new Script(source, {
      filename: programFile(),
      cachedData: compiled.subarray(0, -tagCharacters),
    });
    expect(script.cachedDataRejected).toBe(false);
  });

  const damages: Record<string, (compiled: Buffer) => Buffer | undefined> = {
    'is missing': () => undefined,
    'is empty': () => Buffer.of(),
    'is cut off': (compiled) => compiled.subarray(0, 1000),
    'is of another V8': (compiled) => {
      compiled.fill(0, 0, 64);
      return compiled;
    },
  };
  it.each(Object.entries(damages))('starts where its compiled form %s', (_, damage) => {
    const damaged = damage(readFileSync(compiledFile()));
    if (damaged === undefined) rmSync(compiledFile());
    else writeFileSync(compiledFile(), damaged);
    expect(runHost()).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('is what runs, and not the compiled form of a program of the same length', () => {
    const program = (text: string) =>
      compileProgram(Buffer.from(`(function(require){console.log("${text}")})`));
    const [one, other] = [program('one'), program('two')];
    writeFileSync(programFile(), one.tagged);
    writeFileSync(compiledFile(), one.compiled);
    expect(runHost()).toBe('one\n');
    writeFileSync(compiledFile(), other.compiled);
    expect(runHost()).toBe('one\n');
  });

  it('lies with what koffi needs on this machine, and with no more', () => {
    const koffi = execFileSync(process.execPath, ['-e', 'console.log(require("koffi").version)'], {
      cwd: folder,
      encoding: 'utf8',
      env: {},
    });
    expect(koffi).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(() => readFileSync(fileAt('node_modules/koffi/cnoke.cjs'))).toThrow('ENOENT');
  });
});
