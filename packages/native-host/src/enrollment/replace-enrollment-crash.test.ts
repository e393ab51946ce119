// A replacement that is cut off, or meets an error, at each single thing that it does to the disk.
import { X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type FakeEnrollmentBroker,
  startFakeEnrollmentBroker,
} from '@countersign/testkit/fake-enrollment-broker';
import { parseCertificationRequest } from '@countersign/x509';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { FileKeyStores } from '../keystore/file-keystores.ts';
import { succeed } from '../result.ts';
import { enroll } from './enroll.ts';
import { readEnrollment } from './enrollment-record.ts';

/** Counts changes of the disk; the one with the number `failsAt`, or that and every later one, does not happen. */
const disk = vi.hoisted(() => ({
  changes: 0,
  failsAt: Number.POSITIVE_INFINITY,
  isCrash: false,
  change() {
    this.changes += 1;
    if (this.changes < this.failsAt || (!this.isCrash && this.changes > this.failsAt)) return;
    // Without a code it is nothing that a file system says, and passes through everything, as a crash does.
    throw Object.assign(new Error('cut off'), this.isCrash ? {} : { code: 'EIO' });
  },
}));

vi.mock('node:fs', async (importOriginal) => {
  const real = await importOriginal<typeof fs>();
  const changing = <
    Name extends 'writeSync' | 'fsyncSync' | 'linkSync' | 'renameSync' | 'unlinkSync',
  >(
    name: Name,
  ) => ({
    [name]: (...given: unknown[]) => {
      disk.change();
      return Reflect.apply(real[name], real, given);
    },
  });
  return {
    ...real,
    ...changing('writeSync'),
    ...changing('fsyncSync'),
    ...changing('linkSync'),
    ...changing('renameSync'),
    ...changing('unlinkSync'),
    openSync: (...given: Parameters<typeof real.openSync>) => {
      if (given[1] === 'wx') disk.change();
      return real.openSync(...given);
    },
  };
});

const pending = 'pending-enrollment.json';
let top: string;
let stateDirectory: string;
let broker: FakeEnrollmentBroker;
beforeEach(async () => {
  top = fs.mkdtempSync(join(tmpdir(), 'countersign-replace-crash-'));
  broker = await startFakeEnrollmentBroker();
});
afterEach(async () => {
  await broker.stop();
  fs.rmSync(top, { recursive: true });
});

const now = Math.floor(Date.now() / 1000);
const run = (replace: boolean) =>
  enroll({
    brokerUrl: broker.url,
    hardwareId: { serial_number: 'ABC1234' },
    stateDirectory,
    readEnrollmentToken: async () => succeed('A'.repeat(43)),
    nowSeconds: now,
    replace,
  });

async function replaceWithFailure(failsAt: number, isCrash: boolean) {
  Object.assign(disk, { changes: 0, failsAt, isCrash });
  try {
    return await run(true);
  } catch (error) {
    if (!(error instanceof Error) || error.message !== 'cut off') throw error;
    return undefined;
  } finally {
    disk.failsAt = Number.POSITIVE_INFINITY;
  }
}

/** The device can sign for its certificate; gives that certificate's fingerprint. */
async function expectWorking(step: number): Promise<string> {
  const enrollment = readEnrollment(stateDirectory);
  if (!enrollment.ok || enrollment.value === undefined) {
    throw new Error(`there is no enrollment after ${step}`);
  }
  const { leafCertificate, keyId } = enrollment.value;
  const certificate = new X509Certificate(leafCertificate);
  const key = await new FileKeyStores(stateDirectory).open(keyId).publicKeySpki();
  if (!key.ok) throw new Error(`after ${step}: ${key.detail}`);
  expect(certificate.publicKey.export({ format: 'der', type: 'spki' }).equals(key.value)).toBe(
    true,
  );
  return certificate.fingerprint256;
}

function keysSent(): string[] {
  return broker.calls.map(({ body }) => {
    const csr = parseCertificationRequest(Buffer.from(JSON.parse(body).csr, 'base64url'));
    if (!csr.ok) throw new Error(csr.detail);
    return Buffer.from(csr.value.subjectPublicKey.spki).toString('hex');
  });
}

/** Key files end with the enrollment's alone; what a crash left of other files holds no secret. */
function expectOneKey(): void {
  const names = fs.readdirSync(stateDirectory);
  expect(names.filter((name) => /^(device-key|wrapping)/.test(name))).toHaveLength(2);
}

it.each([
  ['cut off', true],
  ['met by an error', false],
])('%s anywhere, it leaves an enrollment that works, and can be repeated', async (_, isCrash) => {
  let failures = 0;
  let replacedBefore = 0;
  for (let step = 1; ; step++) {
    stateDirectory = join(top, String(step));
    await run(false);
    const old = await expectWorking(step);
    const callsBefore = broker.calls.length;
    const result = await replaceWithFailure(step, isCrash);
    const wasReached = disk.changes >= step;
    const current = await expectWorking(step);
    if (current !== old) replacedBefore += 1;
    // Success is never reported for what did not happen.
    if (result?.ok) expect(current).not.toBe(old);

    const isComplete = current !== old && !fs.existsSync(join(stateDirectory, pending));
    if (!result?.ok) {
      failures += 1;
      expect(result?.reason).toBe(isCrash ? undefined : 'state_unwritable');
      expect(await run(true)).toMatchObject({ ok: true });
    }
    expect(await expectWorking(step)).not.toBe(old);
    expectOneKey();
    // A token is good for one key: unless nothing was left to do, the next attempt goes on with the same.
    if (!isComplete) expect(new Set(keysSent().slice(callsBefore)).size).toBe(1);
    if (!wasReached) break;
  }
  expect(failures).toBeGreaterThan(20);
  expect(replacedBefore).toBeGreaterThan(3);
});
