import { makeTestKey } from '@countersign/testkit/fake-authorities';
import { FakeOrganization } from '@countersign/testkit/fake-organization';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  decisionKey,
  environmentOf,
  idOf,
  mtlsEvidenceKey,
  pem,
  pkcs8,
  publicKeys,
} from '../testing/settings-environment.ts';
import { objectBindings, readSettings } from './settings.ts';

let organization: FakeOrganization;
let foreign: FakeOrganization;
let good: Record<string, unknown>;

beforeAll(async () => {
  organization = await FakeOrganization.create();
  foreign = await FakeOrganization.create('https://other.example.com');
  good = await environmentOf(organization);
});

const wrongSetting = async (change: Record<string, unknown>) => {
  const result = await readSettings({ ...good, ...change });
  return result.ok ? 'none' : [result.setting, result.detail];
};

describe('readSettings', () => {
  it('reads what is right', async () => {
    const result = await readSettings(good);
    if (!result.ok) throw new Error(`${result.setting} ${result.detail}`);
    const { settings } = result;
    expect(settings).toMatchObject({
      brokerUrl: 'https://broker.example.com',
      organizationId: organization.organizationId,
      shardCount: 64,
      rootCertificate: organization.root.certificate.der,
      pkiUrl: 'https://broker.example.com',
      issuers: [
        {
          issuerCertificate: organization.issuer.certificate.der,
          issuerId: idOf(organization.issuer.certificate.der),
          leafCommonName: 'Countersign device',
        },
      ],
      scep: undefined,
      challengeKeys: { active: { kid: organization.challengeKey.kid } },
      mtlsEvidenceKeys: { active: { kid: mtlsEvidenceKey.kid } },
      decisionKeys: { active: { kid: decisionKey.kid } },
      responseKeys: [{ kid: organization.responseKey.kid }],
    });
    for (const key of [
      ...settings.issuers.map(({ issuerKey }) => issuerKey),
      settings.storedSecretsKey,
      settings.deviceIdKey,
      settings.challengeKeys.active.privateKey,
    ]) {
      expect(key.extractable).toBe(false);
    }
  });

  it('takes another name for leaves', async () => {
    const result = await readSettings({ ...good, LEAF_COMMON_NAME: 'ACME laptop' });
    expect(result).toMatchObject({ settings: { issuers: [{ leafCommonName: 'ACME laptop' }] } });
  });

  const names = [
    ...objectBindings,
    'BROKER_URL',
    'ORGANIZATION_ID',
    'SHARD_COUNT',
    'OWNER_TOKEN_SHA256',
    'ROOT_CERTIFICATE',
    'ISSUER_CERTIFICATE',
    'KEY_SET',
    'PUBLIC_KEYS',
    'ISSUER_KEY',
    'CHALLENGE_KEY',
    'MTLS_EVIDENCE_KEY',
    'DECISION_KEY',
    'AUDIT_KEY',
    'RESPONSE_KEY',
    'DEVICE_ID_KEY',
    'STORED_SECRETS_KEY',
  ];
  it.each(names)('names %s when it is missing', async (name) => {
    const [setting, detail] = await wrongSetting({ [name]: undefined });
    expect([setting, detail]).toEqual([name, expect.stringContaining('is missing')]);
  });

  it('knows every setting', () => {
    expect(Object.keys(good).sort()).toEqual([...names].sort());
  });

  it('names the first of several that are missing', async () => {
    const result = await readSettings({});
    expect(result).toEqual({ ok: false, setting: 'DEVICE', detail: 'binding is missing' });
  });

  it.each<[setting: string, value: unknown]>([
    ['BROKER_URL', 'https://broker.example.com/'],
    ['BROKER_URL', 'https://broker.example.com/path'],
    ['BROKER_URL', 'https://broker.example.com:443'],
    ['BROKER_URL', 'https://Broker.Example.com'],
    ['BROKER_URL', 'http://broker.example.com'],
    ['BROKER_URL', 'https://user@broker.example.com'],
    ['BROKER_URL', 'broker.example.com'],
    ['BROKER_URL', 7],
    ['MTLS_URL', 'http://mtls.example.com'],
    ['MTLS_URL', 'http://localhost:8743'],
    ['MTLS_URL', 'https://mtls.example.com/'],
    ['MTLS_URL', 'https://127.0.0.1:8743'],
    ['MTLS_URL', 'https://[::1]:8743'],
    ['MTLS_URL', 'mtls.example.com'],
    ['MTLS_URL', 7],
    ['PKI_URL', 'http://pki.example.com/'],
    ['PKI_URL', 'http://pki.example.com/crl'],
    ['PKI_URL', 'ftp://pki.example.com'],
    ['PKI_URL', 'http://PKI.example.com'],
    ['PKI_URL', 'pki.example.com'],
    ['PKI_URL', 7],
    ['ORGANIZATION_ID', 'org_short'],
    ['ORGANIZATION_ID', 'ACME'],
    ['SHARD_COUNT', '0'],
    ['SHARD_COUNT', '-1'],
    ['SHARD_COUNT', '064'],
    ['SHARD_COUNT', '64.0'],
    ['SHARD_COUNT', '10000'],
    ['SHARD_COUNT', 64],
    ['OWNER_TOKEN_SHA256', 'not base64url!'],
    ['OWNER_TOKEN_SHA256', 'AAAA'],
    ['LEAF_COMMON_NAME', ''],
    ['LEAF_COMMON_NAME', 'x'.repeat(65)],
    ['LEAF_COMMON_NAME', 'line\nbreak'],
    ['KEY_SET', 'a.b'],
    ['KEY_SET', 'a.b.c'],
    ['ROOT_CERTIFICATE', 'no PEM'],
    ['ROOT_CERTIFICATE', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
    ['ISSUER_CERTIFICATE', 'no PEM'],
    ['ISSUER_CERTIFICATE', 7],
    ['PUBLIC_KEYS', '{'],
    ['PUBLIC_KEYS', '{}'],
    ['PUBLIC_KEYS', 'null'],
    ['ISSUER_KEY', 'no key'],
    ['CHALLENGE_KEY', 'no key'],
    ['DECISION_KEY', 'AAAA'],
    ['RESPONSE_KEY', 'AAAA'],
    ['DEVICE_ID_KEY', 'AAAA'],
    ['STORED_SECRETS_KEY', 'AAAA'],
    ['SCEP_RA_KEY', 'AAAA'],
    ['SCEP_RA_KEY', 7],
  ])('names %s when it is %j', async (setting, value) => {
    const [named, detail] = await wrongSetting({ [setting]: value });
    expect(named).toBe(setting);
    expect(detail).toMatch(/^(is|must) |^[a-z_]+: |[a-z]+ .+/i);
  });

  it('notices a private key whose public half is another', async () => {
    const other = makeTestKey();
    const wrongHalf = (name: string) => ['PUBLIC_KEYS', `does not hold the public half of ${name}`];
    for (const name of [
      'CHALLENGE_KEY',
      'MTLS_EVIDENCE_KEY',
      'DECISION_KEY',
      'AUDIT_KEY',
      'RESPONSE_KEY',
    ]) {
      expect(await wrongSetting({ [name]: pkcs8(other.privateKey) })).toEqual(wrongHalf(name));
    }
    const table = {
      challenge: 'CHALLENGE_KEY',
      mtls_evidence: 'MTLS_EVIDENCE_KEY',
      decision: 'DECISION_KEY',
      audit: 'AUDIT_KEY',
      response_encryption: 'RESPONSE_KEY',
    };
    for (const [member, name] of Object.entries(table)) {
      const PUBLIC_KEYS = publicKeys(organization, { [member]: [other.publicJwk] });
      expect(await wrongSetting({ PUBLIC_KEYS })).toEqual(wrongHalf(name));
      const { x } = other.publicJwk;
      const offCurve = publicKeys(organization, { [member]: [{ ...other.publicJwk, y: x }] });
      expect((await wrongSetting({ PUBLIC_KEYS: offCurve }))[0]).toBe('PUBLIC_KEYS');
    }
  });

  it('notices one key for two purposes', async () => {
    const PUBLIC_KEYS = publicKeys(organization, {
      decision: [organization.challengeKey.publicJwk],
    });
    const DECISION_KEY = good.CHALLENGE_KEY;
    expect(await wrongSetting({ PUBLIC_KEYS, DECISION_KEY })).toEqual([
      'PUBLIC_KEYS',
      'holds one key twice',
    ]);
  });

  describe('while keys are rotated', () => {
    const other = makeTestKey();
    const another = makeTestKey();
    const otherResponse = { RESPONSE_KEY_OTHER: pkcs8(other.privateKey) };
    const bothResponseKeys = () =>
      publicKeys(organization, {
        response_encryption: [organization.responseKey.publicJwk, other.publicJwk],
      });
    const bothChallengeKeys = async () => {
      organization.otherChallengeKeys = [other];
      const KEY_SET = await organization.signKeySet();
      organization.otherChallengeKeys = [];
      const challenge = [organization.challengeKey.publicJwk, other.publicJwk];
      return { KEY_SET, PUBLIC_KEYS: publicKeys(organization, { challenge }) };
    };

    it('signs with the first of a purpose, and accepts all of them', async () => {
      const decision = [decisionKey.publicJwk, another.publicJwk];
      const mtls_evidence = [mtlsEvidenceKey.publicJwk, other.publicJwk];
      const result = await readSettings({
        ...good,
        PUBLIC_KEYS: publicKeys(organization, { decision, mtls_evidence }),
      });
      if (!result.ok) throw new Error(`${result.setting} ${result.detail}`);
      const { decisionKeys, mtlsEvidenceKeys, challengeKeys } = result.settings;
      expect(decisionKeys.active.kid).toBe(decisionKey.kid);
      expect([...decisionKeys.accepted.keys()]).toEqual([decisionKey.kid, another.kid]);
      expect(decisionKeys.accepted.get(another.kid)).toMatchObject({
        kid: another.kid,
        publicJwk: another.publicJwk,
      });
      expect([...mtlsEvidenceKeys.accepted.keys()]).toEqual([mtlsEvidenceKey.kid, other.kid]);
      expect([...challengeKeys.accepted.keys()]).toEqual([organization.challengeKey.kid]);
    });

    it('takes two response keys with both their private halves', async () => {
      const result = await readSettings({
        ...good,
        ...otherResponse,
        PUBLIC_KEYS: bothResponseKeys(),
      });
      if (!result.ok) throw new Error(`${result.setting} ${result.detail}`);
      const { responseKeys } = result.settings;
      expect(responseKeys.map(({ kid }) => kid)).toEqual([organization.responseKey.kid, other.kid]);
      expect(responseKeys.every(({ privateKey }) => !privateKey.extractable)).toBe(true);
    });

    it('has no use for a second private half that nothing names', async () => {
      const result = await readSettings({ ...good, RESPONSE_KEY_OTHER: 'left over' });
      expect(result).toMatchObject({
        ok: true,
        settings: { responseKeys: [{ kid: organization.responseKey.kid }] },
      });
    });

    it('names the second private half when it is missing, malformed, or another', async () => {
      const PUBLIC_KEYS = bothResponseKeys();
      const named = ['RESPONSE_KEY_OTHER', expect.any(String)];
      expect(await wrongSetting({ PUBLIC_KEYS })).toEqual(['RESPONSE_KEY_OTHER', 'is missing']);
      expect(await wrongSetting({ PUBLIC_KEYS, RESPONSE_KEY_OTHER: '' })).toEqual(named);
      expect(await wrongSetting({ PUBLIC_KEYS, RESPONSE_KEY_OTHER: 'no key' })).toEqual(named);
      const RESPONSE_KEY_OTHER = pkcs8(another.privateKey);
      expect(await wrongSetting({ PUBLIC_KEYS, RESPONSE_KEY_OTHER })).toEqual([
        'PUBLIC_KEYS',
        'does not hold the public half of RESPONSE_KEY_OTHER',
      ]);
    });

    it('does not start with a challenge key that hosts cannot know', async () => {
      const both = await bothChallengeKeys();
      expect(await readSettings({ ...good, ...both })).toMatchObject({ ok: true });
      const { PUBLIC_KEYS } = both;
      expect(await wrongSetting({ PUBLIC_KEYS })).toEqual([
        'KEY_SET',
        `does not hold the challenge key ${other.kid} of PUBLIC_KEYS`,
      ]);
      // The other way round: published, and not accepted yet.
      expect(await wrongSetting({ KEY_SET: both.KEY_SET })).toBe('none');
    });

    it.each(['challenge', 'mtls_evidence', 'decision', 'audit'])(
      'notices a %s key that is listed twice, serves another purpose, or is none',
      async (purpose) => {
        const both = await bothChallengeKeys();
        const [first] = JSON.parse(String(good.PUBLIC_KEYS))[purpose];
        const wrong = (keys: unknown[]) =>
          wrongSetting({
            ...both,
            PUBLIC_KEYS: publicKeys(organization, { [purpose]: keys }),
          });
        const twice = ['PUBLIC_KEYS', 'holds one key twice'];
        expect(await wrong([first, first])).toEqual(twice);
        expect(await wrong([first, organization.responseKey.publicJwk])).toEqual(twice);
        const offCurve = { ...other.publicJwk, y: other.publicJwk.x };
        expect(await wrong([first, offCurve])).toEqual([
          'PUBLIC_KEYS',
          'holds no point on the curve',
        ]);
        expect(await wrong([])).toEqual(['PUBLIC_KEYS', expect.stringContaining(purpose)]);
        expect(await wrong(first)).toEqual(['PUBLIC_KEYS', expect.stringContaining(purpose)]);
      },
    );
  });

  it('notices an issuing certificate that does not fit its key or its root', async () => {
    expect(await wrongSetting({ ISSUER_KEY: pkcs8(foreign.issuer.privateKey) })).toEqual([
      'ISSUER_KEY',
      'is not the key of ISSUER_CERTIFICATE',
    ]);
    const foreignPem = pem(foreign.issuer.certificate.der);
    const fitting = pkcs8(foreign.issuer.privateKey);
    for (const change of [
      { ISSUER_CERTIFICATE: foreignPem, ISSUER_KEY: fitting },
      { ROOT_CERTIFICATE: pem(foreign.root.certificate.der) },
      { ISSUER_CERTIFICATE: pem(organization.keySetSigner.certificate.der) },
      { ISSUER_CERTIFICATE: pem(organization.root.certificate.der) },
    ]) {
      const [setting] = await wrongSetting(change);
      expect(setting).toBe('ISSUER_CERTIFICATE');
    }
  });

  it('publishes revocation where it is told to', async () => {
    const result = await readSettings({ ...good, PKI_URL: 'http://pki.example.com' });
    expect(result).toMatchObject({ settings: { pkiUrl: 'http://pki.example.com' } });
    expect(await readSettings({ ...good, PKI_URL: '' })).toMatchObject({
      settings: { pkiUrl: 'https://broker.example.com' },
    });
  });

  it('notices a key set that hosts would refuse', async () => {
    expect(await wrongSetting({ BROKER_URL: 'https://new.example.com' })).toEqual([
      'KEY_SET',
      'is of another BROKER_URL',
    ]);
    expect(await wrongSetting({ ORGANIZATION_ID: foreign.organizationId })).toEqual([
      'KEY_SET',
      'is of another ORGANIZATION_ID',
    ]);
    const KEY_SET = await organization.signKeySet({
      claims: {
        keys: [
          {
            ...makeTestKey().publicJwk,
            kid: makeTestKey().kid,
            alg: 'ES256',
            use: 'sig',
            purpose: 'challenge',
          },
        ],
      },
    });
    expect(await wrongSetting({ KEY_SET })).toEqual([
      'KEY_SET',
      'does not hold the public half of CHALLENGE_KEY',
    ]);
  });

  it('notices a key set that leads no receipt to the root', async () => {
    const audit_keys = [
      {
        ...decisionKey.publicJwk,
        kid: decisionKey.kid,
        alg: 'ES256',
        use: 'sig',
        purpose: 'audit',
      },
    ];
    for (const claims of [{ audit_keys }, { audit_keys: undefined }]) {
      expect(await wrongSetting({ KEY_SET: await organization.signKeySet({ claims }) })).toEqual([
        'KEY_SET',
        expect.stringMatching(/^does not hold the audit key \S{43} of PUBLIC_KEYS$/),
      ]);
    }
  });

  it('never throws, whatever the bindings are', async () => {
    for (const value of [null, 7, true, {}, [], Symbol('x'), () => 'x']) {
      for (const name of names.slice(objectBindings.length)) {
        const result = await readSettings({ ...good, [name]: value });
        expect(result, `${name}: ${String(value)}`).toMatchObject({ ok: false, setting: name });
      }
    }
  });
});
