import type { BrowserFacts } from './browser-facts.ts';

/** One row under "Details for IT support". */
export type Detail = { readonly label: string; readonly value: string };

const keyProtections = {
  file: 'a file (protected by the user account alone)',
  os_keystore: "the operating system's keystore",
  hardware: 'a security chip',
  pkcs11: 'a token behind a PKCS#11 module',
  tpm: 'the TPM of this device',
} as const;

const sources = {
  managed_storage: 'browser policy',
  native_host: 'host configuration',
} as const;

/** The facts in words, the problem first. Rows without a value are left out. */
export function detailsOf(
  facts: BrowserFacts,
  problem?: { readonly code: string; readonly administrator: string },
): readonly Detail[] {
  const { host, applied, managedStorage } = facts;
  const status = host.ok ? host.status : undefined;
  const rows: readonly (readonly [label: string, value: string | undefined])[] = [
    ['Code', problem?.code],
    ['Cause', problem?.administrator],
    ['Reported', host.ok ? undefined : host.detail],
    ['Sign-in pages', originList(applied?.origins)],
    ['Listed by', applied === undefined ? undefined : sources[applied.source]],
    ['Allowed by host', originList(status?.origins)],
    ['Browser policy', managedStorage.state],
    ['Broker', status?.broker_url],
    ['Device', status?.device_id],
    ['Certificate', status?.certificate?.fingerprint_sha256],
    ['Issued by', status?.certificate?.issuer],
    ['Valid from', status?.certificate?.not_before],
    ['Valid until', status?.certificate?.not_after],
    ['Key is kept in', status?.key_protection && keyProtections[status.key_protection]],
    ['Configuration', status === undefined ? undefined : configurationOf(status.development)],
    ['Last asked', lastAsked(facts)],
    ['Host version', status?.host_version],
    ['Extension version', facts.extensionVersion],
    ['Looked at', facts.now.toISOString()],
  ];
  return rows.flatMap(([label, value]) =>
    value === undefined || value === '' ? [] : [{ label, value }],
  );
}

function originList(origins: readonly string[] | undefined): string | undefined {
  if (origins === undefined) return undefined;
  return origins.length === 0 ? 'none' : origins.join('\n');
}

function lastAsked({ lastAnswer }: BrowserFacts): string | undefined {
  if (lastAnswer === undefined) return undefined;
  const { at, origin, code = 'answered' } = lastAnswer;
  return `${at.toISOString()}\n${origin}\n${code}`;
}

function configurationOf(development: boolean): string {
  return development ? 'development (not owned by root)' : 'owned by root';
}

/** What "Copy details" puts on the clipboard. */
export function detailsAsText(headline: string, details: readonly Detail[]): string {
  const lines = details.map(({ label, value }) => `${label}: ${value.replaceAll('\n', ' ')}`);
  return [`Countersign: ${headline}`, ...lines].join('\n');
}
