import {
  type MessageOptions,
  makePkiMessage,
  makeScepIdentity,
  makeScepRequest,
  openCertRep,
  type RequestNames,
  type ScepIdentity,
} from '@countersign/testkit/fake-scep-client';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { IntuneContext } from './scep-context.ts';
import { FakeScepWorld, keyIn, nowMs } from './testing/fake-scep-world.ts';

let world: FakeScepWorld;
let device: ScepIdentity;
let other: ScepIdentity;

beforeAll(() => {
  device = makeScepIdentity();
  other = makeScepIdentity();
});

beforeEach(async () => {
  world = await FakeScepWorld.create();
  await world.giveChallenge('open sesame', { serialNumber: 'C02ABC' });
});

const spkiOf = ({ publicKey }: ScepIdentity) =>
  publicKey.export({ type: 'spki', format: 'der' }).toString('hex');

function messageOf(
  names: RequestNames,
  options: MessageOptions = {},
  identity: ScepIdentity = device,
): Uint8Array {
  const csr = makeScepRequest(identity, names);
  return makePkiMessage(identity, world.authority.certificate, csr, options);
}

/** What came out of a message: the code in the log, what the client was told, and how much was issued. */
async function outcomeOf(message: Uint8Array, identity: ScepIdentity = device) {
  const { body, code } = await world.certRep(message);
  const { status, failInfo, failInfoText, certificate } = openCertRep(body, identity);
  expect(certificate === undefined).toBe(status === '2');
  return { code, status, failInfo, failInfoText, issued: world.issued.length };
}

const refused = (code: string, failInfo = '2') => ({
  code,
  status: '2',
  failInfo,
  failInfoText: undefined,
  issued: 0,
});

const challenge = 'open sesame';

describe('a PKCSReq', () => {
  it.each([
    ['in DER', {}],
    ['with AES-128', { cipher: 'aes-128-cbc' }],
    ['in BER, with indefinite lengths', { ber: true }],
  ] as const)('%s is answered with a certificate for its key', async (_, options) => {
    const { body } = await world.certRep(messageOf({ challenge }, options));
    const answer = openCertRep(body, device);
    expect(answer).toMatchObject({ status: '0', failInfo: undefined });
    expect(answer.recipientNonce).toHaveLength(16);
    expect(Buffer.from(answer.signer)).toEqual(Buffer.from(world.authority.certificate));
    expect(keyIn(answer.certificate)).toBe(spkiOf(device));
    expect(world.issued).toMatchObject([
      { via: 'scep', serialNumber: 'C02ABC', strength: 'one_time_token', requiresApproval: false },
    ]);
  });

  it('of the same key comes again and gets the same certificate', async () => {
    const first = openCertRep((await world.certRep(messageOf({ challenge }))).body, device);
    const second = openCertRep((await world.certRep(messageOf({ challenge }))).body, device);
    expect(second.certificate).toEqual(first.certificate);
    expect(world.issued).toHaveLength(1);
  });

  it('takes an administrator’s token for the device that it names', async () => {
    await world.giveToken('token', 'C02XYZ');
    const names = { challenge: 'token', serialNumber: 'C02XYZ' };
    expect(await outcomeOf(messageOf(names))).toMatchObject({ status: '0', issued: 1 });
    expect(world.issued).toMatchObject([{ authority: { type: 'one_time_token' } }]);
  });

  it('with a challenge for no device in particular counts as much as a secret of all devices', async () => {
    await world.giveChallenge('for anybody', {});
    const names = { challenge: 'for anybody', serialNumber: 'C02XYZ' };
    expect(await outcomeOf(messageOf(names))).toMatchObject({ status: '0' });
    expect(world.issued).toMatchObject([
      { serialNumber: 'C02XYZ', strength: 'organization_secret', requiresApproval: true },
    ]);
  });

  it('that is permitted is told what is in the way, and no other', async () => {
    world.managed.clear();
    expect(await outcomeOf(messageOf({ challenge }))).toMatchObject({
      code: 'enrollment_not_allowed',
      failInfoText: 'enrollment_not_allowed',
    });
  });

  describe('with a challenge of Intune’s', () => {
    const names = { challenge: 'of Intune', serialNumber: 'C02ABC' };
    const says = (valid: boolean, consents: boolean) => {
      const said: string[] = [];
      const answer = (what: string, ok: boolean) => {
        said.push(what);
        return ok ? ({ ok } as const) : ({ ok, code: 'integration_unavailable' } as const);
      };
      const intune: IntuneContext = {
        validate: async () => answer('validate', valid),
        confirm: async () => answer('confirm', consents),
        reportFailure: () => said.push('failure'),
      };
      return { said, intune };
    };

    it('is judged by Intune, which also learns what became of it', async () => {
      const { said, intune } = says(true, true);
      const { body } = await world.certRep(messageOf(names), { intune });
      expect(openCertRep(body, device).status).toBe('0');
      expect(said).toEqual(['validate', 'confirm']);
      expect(world.issued).toMatchObject([{ strength: 'one_time_token', serialNumber: 'C02ABC' }]);
    });

    it('is refused when Intune refuses, or is away', async () => {
      const { said, intune } = says(false, true);
      const { body } = await world.certRep(messageOf(names), { intune });
      expect(openCertRep(body, device).status).toBe('2');
      expect(said).toEqual(['validate']);
      expect(world.issued).toHaveLength(0);
    });

    it('gets no certificate to which Intune does not consent, and the same one when it does', async () => {
      const no = await world.certRep(messageOf(names), { intune: says(true, false).intune });
      expect(openCertRep(no.body, device)).toMatchObject({ status: '2', certificate: undefined });
      const yes = await world.certRep(messageOf(names), { intune: says(true, true).intune });
      expect(openCertRep(yes.body, device).status).toBe('0');
      expect(world.issued).toHaveLength(1);
    });

    it('#33 is good for the first key that gets a certificate with it, though Intune says yes to more', async () => {
      const { intune } = says(true, true);
      await world.certRep(messageOf(names), { intune });
      const second = await world.certRep(messageOf(names, {}, other), { intune });
      expect(openCertRep(second.body, other)).toMatchObject({
        status: '2',
        certificate: undefined,
      });
      expect(second.code).toBe('scep_challenge_spent');
      expect(world.issued).toHaveLength(1);
      const again = await world.certRep(messageOf(names), { intune });
      expect(openCertRep(again.body, device).status).toBe('0');
    });

    it('#33 gives out one certificate to two keys that come with it at once', async () => {
      const { intune } = says(true, true);
      const identities = [device, other];
      const answers = await Promise.all(
        identities.map((identity) => world.certRep(messageOf(names, {}, identity), { intune })),
      );
      const statuses = answers.map(
        ({ body }, at) => openCertRep(body, identities[at] ?? device).status,
      );
      expect(statuses.sort()).toEqual(['0', '2']);
      expect(answers.map(({ code }) => code)).toContain('scep_challenge_spent');
    });

    it('tells Intune what was in the way', async () => {
      world.managed.clear();
      const { said, intune } = says(true, true);
      await world.certRep(messageOf(names), { intune });
      expect(said).toEqual(['validate', 'failure']);
    });
  });
});

describe('#33 SCEP', () => {
  it.each(['3', '18', '20', '21', '22', '0', '019', '190', ' 19', '-1'])(
    'refuses message type %j whatever is in it',
    async (messageType) => {
      expect(await outcomeOf(messageOf({ challenge }, { messageType }))).toEqual(
        refused('scep_message_type_not_allowed'),
      );
    },
  );

  it.each([
    ['SHA-1', { digest: 'sha1' }],
    ['MD5', { digest: 'md5' }],
    ['triple DES', { cipher: 'des-ede3-cbc' }],
  ] as const)('refuses %s', async (_, options) => {
    expect(await outcomeOf(messageOf({ challenge }, options))).toEqual(
      refused('scep_algorithm_not_allowed', '0'),
    );
  });

  it('refuses a message that another key has signed', async () => {
    const signer = { ...device, privateKey: other.privateKey };
    expect(await outcomeOf(messageOf({ challenge }, { signer }))).toEqual(
      refused('scep_signature_invalid', '1'),
    );
  });

  it('refuses the request of a key inside of a message of another', async () => {
    const message = messageOf({ challenge }, { signer: other });
    expect(await outcomeOf(message, other)).toEqual(refused('scep_signer_mismatch'));
  });

  it('refuses a challenge that another key has spent', async () => {
    await outcomeOf(messageOf({ challenge }));
    const outcome = await outcomeOf(messageOf({ challenge }, {}, other), other);
    expect(outcome).toEqual({ ...refused('scep_challenge_spent'), issued: 1 });
  });

  it('refuses a challenge that is over', async () => {
    await world.giveChallenge('late', { serialNumber: 'C02ABC' }, nowMs);
    expect(await outcomeOf(messageOf({ challenge: 'late' }))).toEqual(
      refused('scep_challenge_expired'),
    );
  });

  it.each([
    ['of nobody', { challenge: 'guess', serialNumber: 'C02ABC' }, 'enrollment_token_invalid'],
    ['that is missing', { serialNumber: 'C02ABC' }, 'scep_challenge_invalid'],
    ['that is empty', { challenge: '', serialNumber: 'C02ABC' }, 'scep_challenge_invalid'],
  ] as const)('refuses a challenge %s', async (_, names, code) => {
    expect(await outcomeOf(messageOf(names))).toEqual(refused(code));
  });

  it('refuses the request of one device with the challenge of another', async () => {
    const names = { challenge, serialNumber: 'C02XYZ' };
    expect(await outcomeOf(messageOf(names))).toEqual(refused('scep_challenge_wrong_device'));
  });

  it('refuses a token with the request of another device', async () => {
    await world.giveToken('token', 'C02XYZ');
    const names = { challenge: 'token', serialNumber: 'C02ABC' };
    expect(await outcomeOf(messageOf(names))).toEqual(refused('enrollment_token_invalid'));
  });

  it('refuses a request that names two devices, or none, where the challenge names none', async () => {
    await world.giveChallenge('for anybody', {});
    const uuids = ['1', '2'].map(
      (digit) => `urn:uuid:${digit.repeat(8)}-1111-1111-1111-111111111111`,
    );
    for (const names of [{}, { uris: uuids }]) {
      const message = messageOf({ challenge: 'for anybody', ...names });
      expect(await outcomeOf(message)).toEqual(refused('scep_device_unnamed'));
    }
  });

  it('refuses a device that the management does not know', async () => {
    await world.giveChallenge('for anybody', {});
    const names = { challenge: 'for anybody', serialNumber: 'NOT-OURS' };
    expect(await outcomeOf(messageOf(names))).toMatchObject({ status: '2', issued: 0 });
  });

  it('refuses a transaction id that is of another key', async () => {
    await world.giveChallenge('second', { serialNumber: 'C02XYZ' });
    const transactionId = 'same';
    await outcomeOf(messageOf({ challenge }, { transactionId }));
    const message = messageOf({ challenge: 'second' }, { transactionId }, other);
    expect(await outcomeOf(message, other)).toEqual({
      ...refused('scep_transaction_reused'),
      issued: 1,
    });
  });

  it.each([
    ['no SCEP message', () => Buffer.from('3000', 'hex')],
    ['nothing', () => Buffer.alloc(0)],
    ['more than there may be', () => Buffer.alloc(64 * 1024, 0x30)],
  ])('refuses %s without an answer of SCEP', async (_, make) => {
    expect(await world.answer(make())).toMatchObject({ ok: false, code: 'scep_message_malformed' });
  });
});

describe('a RenewalReq', () => {
  /** A device that was enrolled, with the certificate that it has. */
  async function enrolled(): Promise<ScepIdentity> {
    const { body } = await world.certRep(messageOf({ challenge }));
    const { certificate } = openCertRep(body, device);
    if (certificate === undefined) throw new Error('not enrolled');
    return { ...device, certificate };
  }

  it('signed under a certificate on record is renewed, to a new key too', async () => {
    const signer = await enrolled();
    const same = messageOf({}, { messageType: '17', signer });
    expect(await outcomeOf(same)).toMatchObject({ status: '0', code: undefined });
    const rekey = messageOf({}, { messageType: '17', signer }, other);
    const answer = openCertRep((await world.certRep(rekey)).body, device);
    expect(keyIn(answer.certificate)).toBe(spkiOf(other));
    expect(world.renewed).toMatchObject([{ rekey: undefined }, { via: 'scep' }]);
  });

  it('may come as a PKCSReq with a challenge, for the device whose certificate signs it alone', async () => {
    const signer = await enrolled();
    await world.giveChallenge('again', { serialNumber: 'C02ABC' });
    await world.giveChallenge('of another', { serialNumber: 'C02XYZ' });
    const request = (text: string) => messageOf({ challenge: text }, { signer }, other);
    const foreign = await outcomeOf(request('of another'));
    expect(foreign).toMatchObject({ code: 'scep_signer_mismatch', issued: 1 });
    const { body } = await world.certRep(request('again'));
    expect(keyIn(openCertRep(body, device).certificate)).toBe(spkiOf(other));
    world.onRecord.clear();
    await world.giveChallenge('later', { serialNumber: 'C02ABC' });
    expect(await outcomeOf(request('later'))).toMatchObject({
      code: 'certificate_not_found',
      issued: 2,
    });
  });

  it('#33 signed under a certificate of its own making, of another authority, or none on record, is refused', async () => {
    const foreign = await FakeScepWorld.create();
    await foreign.giveChallenge(challenge, { serialNumber: 'C02ABC' });
    const csr = makeScepRequest(device, { challenge });
    const message = makePkiMessage(device, foreign.authority.certificate, csr);
    const { certificate } = openCertRep((await foreign.certRep(message)).body, device);
    const renewal = (signer: ScepIdentity) =>
      messageOf({ challenge }, { messageType: '17', signer });
    expect(await outcomeOf(renewal(device))).toEqual(refused('scep_signer_mismatch'));
    const other = { ...device, certificate: certificate ?? new Uint8Array() };
    expect(await outcomeOf(renewal(other))).toEqual(refused('certificate_not_found'));
    expect(world.renewed).toHaveLength(0);
    const signer = await enrolled();
    world.onRecord.clear();
    expect(await outcomeOf(renewal(signer))).toMatchObject({ code: 'certificate_not_found' });
  });
});
