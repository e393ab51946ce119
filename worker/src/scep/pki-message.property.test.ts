import {
  makePkiMessage,
  makeScepIdentity,
  makeScepRequest,
} from '@countersign/testkit/fake-scep-client';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type PkiMessage, parsePkiMessage } from './pki-message.ts';

const seed = Number(process.env.COUNTERSIGN_PROPERTY_SEED ?? 20_261_122);
const numRuns = Number(process.env.COUNTERSIGN_PROPERTY_RUNS ?? 300);

let message: Uint8Array;
let whole: string;

/** What a message says, as far as its signature covers it. */
const signedPart = ({ messageType, transactionId, senderNonce, envelope, signer }: PkiMessage) =>
  JSON.stringify([
    messageType,
    transactionId,
    ...[senderNonce, envelope, signer.subjectPublicKey.spki].map((bytes) =>
      Buffer.from(bytes).toString('hex'),
    ),
  ]);

beforeAll(async () => {
  const identity = makeScepIdentity();
  const csr = makeScepRequest(identity, { challenge: 'secret', serialNumber: 'C02ABC' });
  message = makePkiMessage(identity, makeScepIdentity().certificate, csr);
  const parsed = await parsePkiMessage(message);
  if (!parsed.ok) throw new Error(parsed.detail);
  whole = signedPart(parsed.message);
});

describe('#33 a SCEP message', () => {
  it('of any bytes is refused, and by a reason', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), async (bytes) => {
        expect(await parsePkiMessage(bytes)).toMatchObject({ ok: false });
      }),
      { seed, numRuns },
    );
  });

  it('that was changed anywhere says what it said, or is refused', async () => {
    const change = fc.record({ at: fc.nat(), octet: fc.nat({ max: 255 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const changed = Uint8Array.from(message);
        for (const { at, octet } of changes) changed[at % changed.length] = octet;
        const parsed = await parsePkiMessage(changed);
        if (parsed.ok) expect(signedPart(parsed.message)).toBe(whole);
      }),
      { seed, numRuns },
    );
  });

  it('that was cut off anywhere is refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (length) => {
        const cut = message.subarray(0, length % message.length);
        expect(await parsePkiMessage(cut)).toMatchObject({ code: 'scep_message_malformed' });
      }),
      { seed, numRuns },
    );
  });
});
