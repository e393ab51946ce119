import { constants, privateEncrypt, publicEncrypt, randomBytes } from 'node:crypto';
import {
  makeEnvelope,
  makeScepIdentity,
  type ScepIdentity,
} from '@countersign/testkit/fake-scep-client';
import { type EnvelopedData, parseEnvelopedData } from '@countersign/x509/cms';
import { beforeAll, describe, expect, it } from 'vitest';
import { selectContentKey } from './open-envelope.ts';
import { openRegistrationAuthority, type RegistrationAuthority } from './registration-authority.ts';

let identity: ScepIdentity;
let authority: RegistrationAuthority;

beforeAll(async () => {
  identity = makeScepIdentity();
  const keyPem = identity.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  authority = await openRegistrationAuthority({ keyPem, certificates: [identity.certificate] });
});

const content = Buffer.from('a request that nobody else may read');

function envelope(changes: Partial<EnvelopedData> = {}): EnvelopedData {
  const made = makeEnvelope(identity.certificate, content);
  const parsed = parseEnvelopedData(made, [identity.certificate], 32_768);
  if (!parsed.ok) throw new Error(parsed.detail);
  return { ...parsed.value, ...changes };
}

const encrypted = (block: Uint8Array, padding: number = constants.RSA_PKCS1_PADDING) =>
  Uint8Array.from(publicEncrypt({ key: identity.publicKey, padding }, block));

/** A block of 256 octets as it is before encryption: 00 02, padding without zeros, 00, the key. */
function block(key: Uint8Array): Uint8Array {
  const padding = Uint8Array.from(randomBytes(253 - key.length), (octet) => octet | 1);
  return Uint8Array.from([0, 2, ...padding, 0, ...key]);
}

describe('an envelope', () => {
  it('is opened', async () => {
    expect(Buffer.from(await authority.open(envelope()))).toEqual(content);
  });

  it('gives nothing where its padding is none', async () => {
    const { encryptedContent } = envelope();
    const damaged = { encryptedContent: encryptedContent.subarray(0, -16) };
    expect(await authority.open(envelope(damaged))).toHaveLength(0);
  });
});

describe('#33 an encrypted key that cannot be opened', () => {
  const wrong: ReadonlyArray<readonly [string, () => Uint8Array]> = [
    [
      'random',
      () => encrypted(Uint8Array.from([0, ...randomBytes(255)]), constants.RSA_NO_PADDING),
    ],
    ['of another block type', () => privateBlock()],
    ['of another length', () => encrypted(randomBytes(16))],
    [
      'with zeros in its padding',
      () => encrypted(new Uint8Array(256).fill(0), constants.RSA_NO_PADDING),
    ],
    ['not below the modulus', () => new Uint8Array(256).fill(0xff)],
    ['too short', () => new Uint8Array(3)],
    ['too long', () => new Uint8Array(300)],
  ];
  const privateBlock = () =>
    Uint8Array.from(
      privateEncrypt(
        { key: identity.privateKey, padding: constants.RSA_NO_PADDING },
        block(randomBytes(32)),
      ),
    );

  it.each(wrong)('%s is not said to be one', async (_, make) => {
    const encryptedKey = Uint8Array.from(make());
    const { initializationVector, encryptedContent } = envelope();
    const damaged = envelope({ encryptedKey, initializationVector, encryptedContent });
    const noise = await authority.open(damaged);
    expect(Buffer.from(noise)).not.toEqual(content);
    // Asked again it is the same noise: a fresh key each time would tell it from one that opens.
    expect(await authority.open(damaged)).toEqual(noise);
  });
});

describe('the content key of a block', () => {
  const key = new Uint8Array(32).fill(7);
  const rejection = new Uint8Array(32).fill(9);

  it('is what follows the padding', () => {
    expect(selectContentKey(block(key), rejection)).toEqual(key);
  });

  it('is the other key when any octet of the form is wrong', () => {
    for (let at = 0; at < 256 - 32; at++) {
      const damaged = block(key);
      damaged[at] = at > 1 && at < 223 ? 0 : (damaged[at] ?? 0) ^ 4;
      expect(selectContentKey(damaged, rejection), `octet ${at}`).toEqual(rejection);
    }
  });

  it('is the other key for a key of another length', () => {
    expect(selectContentKey(block(key.subarray(16)), rejection)).toEqual(rejection);
    expect(selectContentKey(block(key), rejection.subarray(16))).toEqual(rejection.subarray(16));
  });
});

describe('#33 the time that it takes', () => {
  /** Rank-sum statistic of two samples, as a normal deviate: some 3 in either direction is chance. */
  function rankSum(one: readonly number[], other: readonly number[]): number {
    const all = [
      ...one.map((value) => ({ value, mine: true })),
      ...other.map((value) => ({ value, mine: false })),
    ].toSorted((left, right) => left.value - right.value);
    const sum = all.reduce((ranks, { mine }, at) => ranks + (mine ? at + 1 : 0), 0);
    const [n, m] = [one.length, other.length];
    return (sum - (n * (n + m + 1)) / 2) / Math.sqrt((n * m * (n + m + 1)) / 12);
  }

  it('does not tell good padding from bad', async () => {
    const { initializationVector, encryptedContent } = envelope();
    const make = (bytes: Uint8Array) =>
      envelope({
        encryptedKey: encrypted(bytes, constants.RSA_NO_PADDING),
        initializationVector,
        encryptedContent,
      });
    const good = Array.from({ length: 40 }, () => make(block(randomBytes(32))));
    const bad = Array.from({ length: 40 }, () =>
      make(Uint8Array.from([0, 3, ...block(randomBytes(32)).subarray(2)])),
    );
    const times: { good: number[]; bad: number[] } = { good: [], bad: [] };
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 40; i++) {
        const pair = [
          ['good', good[i]],
          ['bad', bad[i]],
        ] as const;
        // Whoever comes second finds warmer caches: by turns.
        for (const [name, one] of i % 2 === 0 ? pair : pair.toReversed()) {
          if (one === undefined) continue;
          const start = performance.now();
          await authority.open(one);
          if (round > 0) times[name].push(performance.now() - start);
        }
      }
    }
    expect(times.good).toHaveLength(360);
    // Returning at once for bad padding makes it 15 and more.
    expect(Math.abs(rankSum(times.good, times.bad))).toBeLessThan(6);
  });
});
