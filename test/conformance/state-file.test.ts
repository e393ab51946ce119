// The file of an export: cut off, put together, changed, of another version, with another passphrase; and an import that
// is killed. Each is refused by the line that is wrong, and leaves nothing behind.
import { spawn } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { EdgeServerError } from '@countersign/edge-server';
import type { TestClient } from '@countersign/testkit/broker-client';
import type { FakeDevice } from '@countersign/testkit/fake-device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { checkStateFile } from '../../packages/edge-server/src/state/check-state-file.ts';
import { runStateCommand } from '../../packages/edge-server/src/state/state-commands.ts';
import {
  type EndLine,
  hashOfLine,
  signEnd,
} from '../../packages/edge-server/src/state/state-file.ts';
import type { StateCommandName } from '../../packages/edge-server/src/state/state-usage.ts';
import { builtProgram } from '../support/built-program.ts';
import { expectTrusted } from '../support/expect-answer.ts';
import { fileSizes } from '../support/folder-size.ts';
import { BackupFolder, runServerCommand } from '../support/server-command.ts';
import { certificateOf, enrollDevice } from '../support/sign-in-attempt.ts';
import { TestBroker } from '../support/test-broker.ts';

let broker: TestBroker;
let client: TestClient;
let device: FakeDevice;
let folder: BackupFolder;
let exported: string;
/** Of the same broker, a moment later. */
let exportedLater: string;
let lines: string[];

beforeAll(async () => {
  folder = new BackupFolder();
  broker = await TestBroker.start({ shardCount: 2 });
  client = await broker.client.registerClient();
  device = await enrollDevice(broker);
  const revoked = await enrollDevice(broker);
  const { fingerprint_sha256 } = await certificateOf(broker, revoked);
  await broker.client.revoke(revoked.deviceId ?? '', fingerprint_sha256);
  for (let signIn = 0; signIn < 3; signIn++) {
    expectTrusted(await broker.client.signIn(client, device));
  }
  exported = await folder.export(broker.dataDirectory);
  exportedLater = await folder.export(broker.dataDirectory, 'later.jsonl');
  await broker.stop();
  lines = readFileSync(exported, 'utf8').trimEnd().split('\n');
});
afterAll(async () => {
  folder?.remove();
  await broker?.stopAndRemove();
});

const passphrase = 'correct horse battery staple';

/** What a check of these lines says. */
async function refusal(changed: readonly string[] | string, phrase = passphrase): Promise<string> {
  const path = folder.file('changed.jsonl');
  writeFileSync(path, typeof changed === 'string' ? changed : `${changed.join('\n')}\n`);
  const error: unknown = await checkStateFile(path, phrase, undefined).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof EdgeServerError)) throw new Error(`it ended with ${error}`);
  expect(error.failure).toBe('state_file_invalid');
  return error.message;
}

const object = z.record(z.string(), z.unknown());
const endOf = z.object({ pages: z.int(), rows: z.record(z.string(), z.int()) });

/** The lines with their hashes computed anew, as whoever changes one of them would, and signed with this key. */
function chained(changed: readonly string[], keyPem?: string): string[] {
  let after = '';
  return changed.map((text) => {
    const value = object.parse(JSON.parse(text));
    let next: unknown = { ...value, after };
    if (value.type === 'end' && keyPem !== undefined) {
      const { pages, rows } = endOf.parse(value);
      const end: Omit<EndLine, 'signature'> = { type: 'end', pages, rows, after };
      next = signEnd(end, createPrivateKey(keyPem));
    }
    const line = JSON.stringify(next);
    after = hashOfLine(line);
    return line;
  });
}

const rootKey = () => readFileSync(join(broker.dataDirectory, 'keys/root.pem'), 'utf8');

it('an export as it is passes, with chains that verify', async () => {
  const checked = await checkStateFile(exported, passphrase, undefined);
  expect(checked.brokenChains).toEqual([]);
  expect(checked.header.shard_count).toBe(2);
});

describe('a file that is cut off', () => {
  it('after any line is refused, and says where', async () => {
    for (let kept = 1; kept < lines.length; kept++) {
      expect(await refusal(lines.slice(0, kept))).toMatch(
        new RegExp(`line ${kept}: the file ends here, before the end of the export`),
      );
    }
  });

  it('within a line is refused, and says where', async () => {
    const text = readFileSync(exported, 'utf8');
    expect(await refusal(text.slice(0, text.length - 30))).toContain(
      `line ${lines.length}: it is not JSON`,
    );
    expect(await refusal(text.slice(0, 200))).toContain('line 1: it is not JSON');
    expect(await refusal('')).toContain('is empty');
  });
});

describe('a file that was put together', () => {
  it.each<[what: string, change: (lines: string[], later: string[]) => string[], says: RegExp]>([
    ['without a line', (all) => all.toSpliced(5, 1), /line 6: it does not follow the line before/],
    [
      'with two lines exchanged',
      (all) => all.with(4, all[5] ?? '').with(5, all[4] ?? ''),
      /line 5: it does not follow/,
    ],
    ['with a line twice', (all) => all.toSpliced(4, 0, all[4] ?? ''), /line 6: it does not follow/],
    [
      'with a line of another export',
      (all, later) => all.with(4, later[4] ?? ''),
      /line 5: it does not follow/,
    ],
    [
      'of the beginning of one export and the end of another',
      (all, later) => [...all.slice(0, 6), ...later.slice(6)],
      /line 7: it does not follow/,
    ],
    ['with two beginnings', (all, later) => [...all, ...later], /something after the end/],
    ['without its beginning', (all) => all.slice(1), /line 1: the export does not begin here/],
    ['with text after its end', (all) => [...all, 'x'], /something after the end/],
  ])('%s is refused', async (_, change, says) => {
    const later = readFileSync(exportedLater, 'utf8').trimEnd().split('\n');
    expect(await refusal(change([...lines], later))).toMatch(says);
  });
});

describe('a file that was changed', () => {
  it('in one character is refused, wherever that is', async () => {
    for (const [index, line] of lines.entries()) {
      const changed = line.replace(/"(type|after)":"/, '"$1x":"');
      const message = await refusal(lines.with(index, changed));
      expect(message).toMatch(new RegExp(`line (${index + 1}|${index + 2}):`));
    }
  });

  it('#45 with a revocation undone, by somebody without the keys, is refused', async () => {
    const undone = lines.map((line) =>
      line.includes('"type":"page"')
        ? line.replace('"status":"revoked"', '"status":"issued"')
        : line,
    );
    expect(undone).not.toEqual(lines);
    expect(await refusal(undone)).toMatch(/does not follow the line before/);
    expect(await refusal(chained(undone))).toMatch(
      new RegExp(`line ${lines.length}: the signature is not of this organization's keys`),
    );
    const other = await TestBroker.start({ shardCount: 1 });
    const otherKey = readFileSync(join(other.dataDirectory, 'keys/root.pem'), 'utf8');
    await other.stopAndRemove();
    expect(await refusal(chained(undone, otherKey))).toMatch(/the signature is not/);
  });

  it('in its keys is refused', async () => {
    const header = z
      .looseObject({ keys: z.looseObject({ ciphertext: z.string() }) })
      .parse(JSON.parse(lines[0] ?? ''));
    const { ciphertext } = header.keys;
    const flipped = `${ciphertext.slice(0, 99)}${ciphertext[99] === 'A' ? 'B' : 'A'}${ciphertext.slice(100)}`;
    const changed = JSON.stringify({ ...header, keys: { ...header.keys, ciphertext: flipped } });
    expect(await refusal(chained(lines.with(0, changed)))).toMatch(/line 1: the keys do not open/);
    expect(await refusal(lines, 'another passphrase')).toMatch(/the passphrase is another one/);
  });

  it('in the number of its rows is refused, also with a good signature', async () => {
    // Which shards hold tokens is a matter of the devices' ids; one with none has an empty page.
    const index = lines.findIndex(
      (line) => line.includes('"section":"enrollment_tokens"') && line.includes('"expires_at_ms"'),
    );
    const page = z
      .looseObject({ tables: z.record(z.string(), z.array(z.unknown())) })
      .parse(JSON.parse(lines[index] ?? ''));
    const emptied = JSON.stringify({ ...page, tables: { enrollment_tokens: [] } });
    expect(await refusal(chained(lines.with(index, emptied), rootKey()))).toMatch(
      new RegExp(`line ${lines.length}: the number of rows .*device.enrollment_tokens`),
    );
  });

  it('of another version of the format is refused', async () => {
    const newer = (lines[0] ?? '').replace('"version":1', '"version":2');
    expect(await refusal(chained(lines.with(0, newer), rootKey()))).toMatch(
      /line 1: "version" is wrong, or of another version/,
    );
  });

  it('with a broken chain is told, since it was broken where it was exported', async () => {
    const changed = lines.map((line) =>
      line.replaceAll('\\"subject\\":\\"ada\\"', '\\"subject\\":\\"eve\\"'),
    );
    expect(changed).not.toEqual(lines);
    const path = folder.file('broken.jsonl');
    writeFileSync(path, `${chained(changed, rootKey()).join('\n')}\n`);
    const { brokenChains } = await checkStateFile(path, passphrase, undefined);
    expect(brokenChains).toEqual([expect.stringMatching(/^[\w-]{22}\.[01]: row \d+$/)]);
    const imported = await folder.import(path, 'broken');
    expect(imported).toMatchObject({ code: 0 });
    expect(imported.output).toMatch(/does not verify, as it was exported: chain \S+: row \d+/);
  });

  it('of a newer schema is not imported', async () => {
    const newer = (lines[0] ?? '').replace('"001_keys"', '"001_keys","999_later"');
    const path = folder.file('newer.jsonl');
    writeFileSync(path, `${chained(lines.with(0, newer), rootKey()).join('\n')}\n`);
    const result = await folder.import(path, 'newer');
    expect(result).toMatchObject({ code: 1 });
    expect(result.errors).toMatch(/newer version of Countersign \(it has 999_later\)/);
    expect(readdirSync(folder.path).filter((name) => name.includes('newer'))).toEqual([
      'newer.jsonl',
    ]);
  });
});

describe('an import', () => {
  it('goes into no folder in which something is', async () => {
    const before = fileSizes(broker.dataDirectory);
    const intoData = await runServerCommand(
      ...['import', '--data', broker.dataDirectory, '--input', exported],
      ...['--passphrase-file', folder.passphraseFile],
    );
    expect(intoData).toMatchObject({ code: 1, output: '' });
    expect(intoData.errors).toMatch(/is not empty. An import makes a new data folder/);
    expect(fileSizes(broker.dataDirectory)).toEqual(before);
    mkdirSync(folder.file('holiday'));
    writeFileSync(folder.file('holiday/sea.jpg'), 'sea');
    expect((await folder.import(exported, 'holiday')).errors).toMatch(/is not empty/);
    expect(readdirSync(folder.file('holiday'))).toEqual(['sea.jpg']);
  });

  it('goes into an empty folder, as a mount point is', async () => {
    mkdirSync(folder.file('mounted'));
    expect(await folder.import(exported, 'mounted', '--shards', '3')).toMatchObject({ code: 0 });
    const imported = await broker.startOn(folder.file('mounted'), 3);
    expectTrusted(await imported.client.signIn(client, device));
    await imported.stop();
  });

  it('#45 of an export that is older than what was there is refused until it is confirmed', async () => {
    await broker.startAgain();
    expectTrusted(await broker.client.signIn(client, device));
    await broker.stop();
    const mark = `${broker.dataDirectory}.high-water.json`;
    const again = (...more: string[]) =>
      folder.import(exported, 'older', '--high-water-mark', mark, ...more);
    const refused = await again();
    expect(refused.code).toBe(1);
    expect(refused.errors).toMatch(/\d+ decisions instead of \d+[\s\S]*--confirm-restore/);
    expect(readdirSync(folder.path)).not.toContain('older');
    const newest = await folder.export(broker.dataDirectory, 'newest.jsonl');
    expect(await folder.import(newest, 'newest', '--high-water-mark', mark)).toMatchObject({
      code: 0,
    });
    // The mark is of the import now: the folder from before it is noticed.
    await expect(broker.startAgain()).rejects.toMatchObject({
      failure: 'state_older_than_mark',
      message: expect.stringMatching(/before any import .*after import 1/),
    });
    const confirmed = await again('--confirm-restore');
    expect(confirmed).toMatchObject({ code: 0 });
    expect(confirmed.output).toMatch(/lost: a state from before any import/);
  });

  it('that is killed at any moment leaves nothing that a server takes, and can be run again', async () => {
    const program = fileURLToPath(
      new URL('../../packages/edge-server/src/main.ts', import.meta.url),
    );
    const worker = await builtProgram('worker');
    const target = folder.file('killed');
    for (const afterMs of [700, 1_000, 1_300, 1_600]) {
      const child = spawn(
        process.execPath,
        [
          ...[program, 'import', '--data', target, '--input', exported, '--worker', worker],
          ...['--passphrase-file', folder.passphraseFile, '--high-water-mark', 'none'],
        ],
        { stdio: 'ignore', env: {} },
      );
      const ended = once(child, 'exit');
      await Promise.race([sleep(afterMs), ended]);
      child.kill('SIGKILL');
      await ended;
      const names = readdirSync(folder.path).filter((name) => name.includes('killed'));
      // Either all of it or none: what is being built has another name.
      if (names.includes('killed')) rmSync(target, { recursive: true });
      else expect(names.every((name) => name.startsWith('.killed.new-'))).toBe(true);
    }
    expect(await folder.import(exported, 'killed')).toMatchObject({ code: 0 });
    expect(readdirSync(folder.path).filter((name) => name.startsWith('.killed'))).toEqual([]);
    const imported = await broker.startOn(target, 2);
    expectTrusted(await imported.client.signIn(client, device));
    await imported.stop();
  });
});

describe('the commands', () => {
  it.each<[name: StateCommandName, args: string[], says: RegExp]>([
    ['export', [], /--output is missing/],
    ['export', ['--output', '/tmp/x', '--shards', '3'], /export knows no --shards/],
    ['export', ['--outptu', '/tmp/x'], /Unknown option '--outptu'/],
    ['import', ['--input', 'x'], /--passphrase-file names the file/],
    ['import', ['--input', 'x', '--passphrase-file', '/nowhere'], /cannot be read/],
    ['confirm-restore', ['--high-water-mark', 'none'], /nothing to confirm/],
  ])('%s %j says what is wrong', async (name, args, says) => {
    const worker = ['--worker', await builtProgram('worker')];
    await expect(
      runStateCommand(name, [...args, ...worker, '--data', broker.dataDirectory], {}),
    ).rejects.toMatchObject({
      failure: 'setting_invalid',
      message: expect.stringMatching(says),
    });
  });

  it('end with the code for wrong usage', async () => {
    const result = await runServerCommand('export', '--outptu', '/tmp/x');
    expect(result).toMatchObject({ code: 2, output: '' });
    expect(result.errors).toContain("Unknown option '--outptu'");
  });

  it('overwrite nothing, want a passphrase worth the name, and a folder that exists', async () => {
    const phrase = ['--passphrase-file', folder.passphraseFile];
    const data = ['--data', broker.dataDirectory];
    const before = readFileSync(exported, 'utf8');
    const taken = await runServerCommand('export', '--output', exported, ...phrase, ...data);
    expect(taken.errors).toMatch(/exists already/);
    expect(readFileSync(exported, 'utf8')).toBe(before);
    const short = folder.file('short');
    writeFileSync(short, 'tiny\n');
    const output = folder.file('never.jsonl');
    const weak = await runServerCommand(
      ...['export', '--output', output, '--passphrase-file', short, ...data],
    );
    expect(weak.errors).toMatch(/at least 12 characters/);
    const nowhere = await runServerCommand(
      ...['export', '--output', output, ...phrase, '--data', folder.file('nowhere')],
    );
    expect(nowhere.errors).toMatch(/There is no data folder/);
    expect(readdirSync(folder.path)).not.toContain('never.jsonl');
    expect(readdirSync(folder.path).filter((name) => name.includes('unfinished'))).toEqual([]);
  });
});
