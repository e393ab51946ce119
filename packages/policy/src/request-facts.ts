import type { Posture } from '@countersign/protocol/device-response';
import type { KeyProtection } from '@countersign/protocol/key-protection';
import type { PostureReport } from '@countersign/protocol/posture';
import type { PostureFacts, RequestFacts } from './facts.ts';
import type { ClientType, EvidenceChannel, Platform } from './policy-document.ts';

/** What the sign-in server says of the person's connection; `undefined` where it does not. */
export type AssertedByClient = {
  readonly ip_address?: string | undefined;
  readonly client_type?: ClientType | undefined;
  readonly platform?: Platform | undefined;
};

/** What a device has signed of itself. */
export type SignedByDevice = {
  readonly key_protection: KeyProtection;
  readonly posture: Posture;
};

const platformOf: Readonly<Record<Posture['platform'], Platform>> = {
  linux: 'other_desktop',
  macos: 'macos',
  windows: 'windows',
  other: 'other_desktop',
};

/** The version alone, without the system's name: `debian 12` is 12. */
function versionIn(text: string): string | undefined {
  return /(?:^|\s)(\d+(?:\.\d+)*)$/.exec(text)?.[1];
}

/** The facts of a policy, as they are written down. */
type Reported = Partial<PostureReport>;

const factNames = [
  ['diskEncryption', 'disk_encryption'],
  ['firewall', 'firewall'],
  ['screenLock', 'screen_lock'],
  ['platform', 'platform'],
  ['osVersion', 'os_version'],
] as const;

/** Adds one reporter's word to what the other has said. */
function withWord(
  facts: PostureFacts,
  by: 'device' | 'mdm',
  said: Reported | undefined,
): PostureFacts {
  const told = factNames.flatMap(([fact, name]) => {
    const value = said?.[name];
    return value === undefined ? [] : [[fact, { ...facts[fact], [by]: value }]];
  });
  return { ...facts, ...Object.fromEntries(told) };
}

/** Adds what the device's management has reported. */
export const withReport = (facts: PostureFacts, report: Reported | undefined): PostureFacts =>
  withWord(facts, 'mdm', report);

/**
 * What is known of a sign-in before the device's record is looked at.
 *
 * @param channel how evidence came, when it names a device
 * @param groups those of the user's groups that a rule could name
 */
export function requestFacts(
  user: string,
  groups: ReadonlySet<string>,
  asserted: AssertedByClient,
  channel: EvidenceChannel | 'none',
  signed: SignedByDevice | undefined,
): RequestFacts {
  const { platform: system, os_version, ...switches } = signed?.posture ?? {};
  const version = versionIn(os_version ?? '');
  return {
    user,
    groups,
    ipAddress: asserted.ip_address,
    clientType: asserted.client_type,
    platform: asserted.platform,
    signedPlatform: system === undefined ? undefined : platformOf[system],
    channel,
    keyProtection: signed?.key_protection ?? 'none',
    posture: withWord({}, 'device', {
      ...switches,
      ...(version === undefined ? {} : { os_version: version }),
    }),
  };
}
