import type { PolicyFacts, Reported } from '../facts.ts';
import type { Platform } from '../policy-document.ts';
import { platformOf } from './choices.ts';
import { type Condition, type Criterion, notSaid, type Verdict, verdictOf } from './criterion.ts';

type Posture = Condition<'posture'>;
type Reporter = Posture['reported_by'];

type Word<Value> = { readonly value: Value; readonly by: keyof Reported<Value> };

/**
 * What counts of what was reported, and whose word it is. Where anybody may report and both did, the management's counts:
 * a device's is its own.
 */
function wordOn<Value>(
  reported: Reported<Value> | undefined,
  wanted: Reporter,
  { deviceTrust }: PolicyFacts,
): Word<Value> | undefined {
  // What is not known to be a device of ours says nothing of one, and what is known of that one says nothing of this.
  if (!deviceTrust.trusted) return undefined;
  for (const by of wanted === 'any' ? (['mdm', 'device'] as const) : [wanted]) {
    const value = reported?.[by];
    if (value !== undefined) return { value, by };
  }
  return undefined;
}

const told = (word: Word<unknown> | undefined): string =>
  word === undefined ? notSaid : `${word.value} (${word.by})`;

/** Compares part by part; what is left out is 0. */
export function isAtLeast(version: string, minimum: string): boolean {
  const parts = version.split('.').map(Number);
  const wanted = minimum.split('.').map(Number);
  for (let i = 0; i < Math.max(parts.length, wanted.length); i++) {
    const difference = (parts[i] ?? 0) - (wanted[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

const isVersion = (text: string) => /^\d{1,9}(\.\d{1,9}){0,9}$/.test(text);

type System = {
  readonly platform: Platform | undefined;
  readonly version: Word<string> | undefined;
};

/**
 * The version that counts, and which platform's it is in the word of the same reporter: else a device could choose the
 * minimum that its management's version is held against.
 */
function systemOf(facts: PolicyFacts, wanted: Reporter): System {
  const version = wordOn(facts.posture.osVersion, wanted, facts);
  const managed = wordOn(facts.posture.platform, wanted, facts);
  const by = version?.by ?? (wanted === 'any' ? (managed?.by ?? 'device') : wanted);
  // Of what is not known to be a device of ours a management says nothing.
  const isDeviceAsked = by === 'device' || !facts.deviceTrust.trusted;
  return { platform: isDeviceAsked ? platformOf(facts) : managed?.value, version };
}

function checkVersion({ minimum_os_version, reported_by }: Posture, facts: PolicyFacts): Verdict {
  if (minimum_os_version === undefined) return 'met';
  const { platform, version: word } = systemOf(facts, reported_by);
  if (platform === undefined) return 'unknown';
  const minimum = minimum_os_version[platform];
  if (minimum === undefined) return 'not_met';
  const version = word?.value;
  if (version === undefined || !isVersion(version)) return 'unknown';
  return verdictOf(isAtLeast(version, minimum));
}

const switches = [
  ['disk_encryption', 'diskEncryption'],
  ['firewall', 'firewall'],
  ['screen_lock', 'screenLock'],
] as const;

/** How the device is kept, as it or its management says. */
export const posture: Criterion<'posture'> = {
  check: (condition, facts) => {
    const verdicts = switches
      .filter(([wanted]) => condition[wanted] === true)
      .map(([, fact]): Verdict => {
        const word = wordOn(facts.posture[fact], condition.reported_by, facts);
        return word === undefined ? 'unknown' : verdictOf(word.value);
      });
    verdicts.push(checkVersion(condition, facts));
    if (verdicts.includes('not_met')) return 'not_met';
    return verdicts.includes('unknown') ? 'unknown' : 'met';
  },
  seen: (facts, _zones, condition) => {
    const by = condition.reported_by;
    const parts = switches
      .filter(([wanted]) => condition[wanted] === true)
      .map(([wanted, fact]) => `${wanted}: ${told(wordOn(facts.posture[fact], by, facts))}`);
    if (condition.minimum_os_version !== undefined) {
      const { platform, version } = systemOf(facts, by);
      parts.push(`${platform ?? 'platform not said, version'} ${told(version)}`);
    }
    return parts.join(', ');
  },
  wanted: ({ reported_by, minimum_os_version, ...flags }) => {
    const parts = switches
      .filter(([wanted]) => flags[wanted] === true)
      .map(([wanted]) => `${wanted}: true`);
    for (const [platform, version] of Object.entries(minimum_os_version ?? {})) {
      parts.push(`${platform} ${version} or newer`);
    }
    return `${parts.join(', ')}${reported_by === 'any' ? '' : `, reported by ${reported_by}`}`;
  },
};
