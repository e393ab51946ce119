import { enrollmentStrengths } from '@countersign/protocol/enrollment-strength';
import fc from 'fast-check';
import type { PolicyFacts } from '../facts.ts';
import {
  clientTypes,
  evidenceChannels,
  type PolicyDocument,
  platforms,
  policyDocument,
  weekdays,
} from '../policy-document.ts';
import { type NetworkZone, networkZone, type Zones } from '../zones.ts';

/** Policies and facts that meet often: few users, groups, zones and addresses. */

const users = ['ada', 'bob', 'eve'];
const groups = ['staff', 'finance', 'contractors'];
const zoneIds = ['office', 'vpn', 'abroad', 'gone'];
const some = <Item>(items: readonly Item[]) =>
  fc.uniqueArray(fc.constantFrom(...items), { minLength: 1, maxLength: 3 });
/** There once in `of` times. */
const maybe = <Item>(item: fc.Arbitrary<Item>, of = 4): fc.Arbitrary<Item | undefined> =>
  fc.oneof({ weight: 1, arbitrary: item }, { weight: of - 1, arbitrary: fc.constant(undefined) });

const addresses = [
  '192.0.2.1',
  '192.0.2.127',
  '192.0.2.128',
  '198.51.100.0',
  '255.255.255.255',
  '0.0.0.0',
  '2001:db8::1',
  '2001:db8:ffff::',
  '::ffff:192.0.2.1',
  '::',
  'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
];

const zone = (zone_id: string, on_network: boolean, ...blocks: string[]): NetworkZone =>
  networkZone.parse({ zone_id, name: zone_id, on_network, blocks });
export const zones: Zones = [
  zone('office', true, '192.0.2.0/25', '2001:db8::/33'),
  zone('vpn', true, '192.0.2.0/24'),
  zone('abroad', false, '198.51.100.0/24', '255.255.255.255', '0.0.0.0/32', '::/128'),
];

/** Without the members that are `undefined`: a document has no such thing. */
export const strip = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const keyProtections = ['file', 'os_keystore', 'hardware', 'pkcs11', 'tpm'] as const;

const when = fc.record({
  people: maybe(
    fc.record({
      users: maybe(some(users)),
      groups: maybe(some(groups)),
      except_users: maybe(some(users), 8),
      except_groups: maybe(some(groups), 8),
    }),
  ),
  network: maybe(
    fc.oneof(
      fc.record({ location: fc.constantFrom('on_network', 'off_network') }),
      fc.record({ zones: some(zoneIds), except_zones: maybe(some(zoneIds), 8) }),
      fc.record({ except_zones: some(zoneIds) }),
    ),
    5,
  ),
  client_types: maybe(some(clientTypes), 8),
  platforms: maybe(some(platforms), 8),
  device_trust: maybe(fc.constantFrom('trusted', 'not_trusted')),
  channels: maybe(some(evidenceChannels), 8),
  key_protections: maybe(some(keyProtections), 8),
  enrollment_strengths: maybe(some(enrollmentStrengths), 8),
  posture: maybe(
    fc.record({
      disk_encryption: fc.constant(true),
      firewall: maybe(fc.constant(true)),
      screen_lock: maybe(fc.constant(true)),
      minimum_os_version: maybe(fc.constant({ macos: '14.5', windows: '10.0.19045' })),
      reported_by: fc.constantFrom('any', 'device', 'mdm'),
    }),
    10,
  ),
  certificate_age: maybe(fc.constantFrom({ at_most_days: 10 }, { at_least_days: 5 }), 8),
  time: maybe(
    fc.record({
      time_zone: fc.constantFrom('UTC', 'Europe/Berlin', 'Asia/Kathmandu'),
      days: some(weekdays),
      from: fc.constantFrom('00:00', '08:00', '22:30'),
      to: fc.constantFrom('00:00', '06:00', '18:00'),
    }),
    12,
  ),
});

const factorOf = (...acr_values: string[]) => ({ acr_values, amr_values: [] });
const effect = fc.constantFrom(
  { effect: 'allow' },
  { effect: 'allow', reauthenticate_after_seconds: 600 },
  { effect: 'deny' },
  { effect: 'deny' },
  { effect: 'step_up', factor: factorOf('phr') },
  { effect: 'step_up', factor: factorOf('phr', 'pwd') },
  { effect: 'step_up', factor: factorOf('pwd'), reauthenticate_after_seconds: 3600 },
  { effect: 'step_up', factor: { acr_values: [], amr_values: ['hwk'] } },
);
const rule = fc.record({ when, effect, enabled: maybe(fc.boolean(), 8) });

export const arbitraryPolicy: fc.Arbitrary<PolicyDocument> = fc
  .record({
    // More than two words of rules, and none at all.
    rules: fc.array(rule, { maxLength: 70, size: 'max' }),
    enforcement: fc.constantFrom('enforce', 'monitor'),
    otherwise: fc.constantFrom('allow', 'deny'),
  })
  .map(({ rules, ...rest }) =>
    policyDocument.parse(
      strip({
        version: 1,
        ...rest,
        rules: rules.map(({ effect: chosen, ...one }, place) => ({
          id: `r${place}`,
          ...one,
          ...chosen,
        })),
      }),
    ),
  );

const reported = <Value>(value: fc.Arbitrary<Value>) =>
  fc.record({ device: maybe(value, 2), mdm: maybe(value, 2) });
const now = Date.UTC(2026, 10, 22);

/** @param unsaid whether some of it may be unknown */
export const arbitraryFacts = (unsaid: boolean): fc.Arbitrary<PolicyFacts> => {
  const said = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> =>
    unsaid ? maybe(value, 2) : value;
  return fc.record({
    user: fc.constantFrom(...users, 'mallory'),
    groups: fc.subarray(groups).map((names) => new Set(names)),
    ipAddress: said(fc.constantFrom(...addresses)),
    clientType: said(fc.constantFrom(...clientTypes)),
    platform: said(fc.constantFrom(...platforms)),
    signedPlatform: maybe(fc.constantFrom(...platforms)),
    deviceTrust: fc.constantFrom(
      { trusted: true } as const,
      { trusted: false, reason: 'certificate_expired' } as const,
      { trusted: false, reason: 'evidence_missing' } as const,
    ),
    channel: fc.constantFrom(...evidenceChannels, 'none' as const),
    keyProtection: fc.constantFrom(...keyProtections, 'none' as const),
    enrollmentStrength: fc.constantFrom(...enrollmentStrengths, 'none' as const),
    certificateAgeSeconds: fc.constantFrom(
      0,
      5 * 86_400,
      10 * 86_400,
      11 * 86_400,
      'none' as const,
    ),
    posture: fc.record({
      diskEncryption: reported(fc.boolean()),
      firewall: reported(fc.boolean()),
      screenLock: reported(fc.boolean()),
      platform: fc.record({ mdm: maybe(fc.constantFrom(...platforms), 2) }),
      osVersion: reported(fc.constantFrom('14.5', '14.4.9', '10.0.19045', '15', 'beta')),
    }),
    atMs: fc.integer({ min: now, max: now + 7 * 86_400_000 }),
  });
};
