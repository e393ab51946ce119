import { describe, expect, it } from 'vitest';
import type { ParsedCertificate } from './certificate.ts';
import { parseCertificate } from './certificate.ts';
import { deviceUriOf, readDeviceUri } from './device-uri.ts';
import {
  leafFields,
  makeAuthority,
  makeKey,
  makeLeaf,
  must,
  testDeviceId,
} from './testing/make-certificates.ts';

const authority = await makeAuthority();
const device = await makeKey();
const leaf = must(parseCertificate(await makeLeaf(authority, leafFields(device.publicKey))));

function withNames(uris: readonly string[], otherNames = 0): ParsedCertificate {
  const subjectAltName = { uris, otherNames, isCritical: false };
  return { ...leaf, extensions: { ...leaf.extensions, subjectAltName } };
}

describe('the device URI', () => {
  it('comes back from a leaf', () => {
    expect(readDeviceUri(leaf)).toEqual({ ok: true, value: testDeviceId });
  });

  it.each(['a'.repeat(16), 'Z'.repeat(86), '0123456789abcdef0123456789abcdef', '-_-_-_-_-_-_-_-_'])(
    'is made for %s',
    (deviceId) => {
      const uri = must(deviceUriOf(deviceId));
      expect(readDeviceUri(withNames([uri]))).toEqual({ ok: true, value: deviceId });
    },
  );

  it.each([
    '',
    'short',
    'a'.repeat(87),
    'with space in the id',
    'semi;colon;in;the;id',
    'ä'.repeat(16),
  ])('is not made for %j', (deviceId) => {
    expect(deviceUriOf(deviceId)).toMatchObject({ reason: 'field_not_allowed' });
  });

  const good = `urn:countersign:device:${testDeviceId}`;
  it.each<[string, string, ParsedCertificate]>([
    ['no URI', 'device_uri_missing', withNames([], 1)],
    ['two URIs', 'device_uri_not_allowed', withNames([good, good])],
    ['a second name of another kind', 'device_uri_not_allowed', withNames([good], 1)],
    ['another URI', 'device_uri_not_allowed', withNames(['https://sso.example/'])],
    ['another prefix', 'device_uri_not_allowed', withNames([good.replace('device', 'user')])],
    ['other case', 'device_uri_not_allowed', withNames([good.toUpperCase()])],
    ['no id', 'device_uri_not_allowed', withNames(['urn:countersign:device:'])],
    ['something behind', 'device_uri_not_allowed', withNames([`${good}#x`])],
    ['a line break behind', 'device_uri_not_allowed', withNames([`${good}\n`])],
    ['something in front', 'device_uri_not_allowed', withNames([` ${good}`])],
  ])('is refused: %s', (_, reason, certificate) => {
    expect(readDeviceUri(certificate)).toMatchObject({ ok: false, reason });
  });

  it('is missed where there is no subjectAltName', () => {
    expect(readDeviceUri(authority.root)).toMatchObject({ reason: 'device_uri_missing' });
  });
});
