import { parseArgs } from 'node:util';
import { errorText } from './edge-server-error.ts';
import {
  defaultHost,
  defaultHttpPort,
  defaultTlsPort,
  type EdgeServerOptions,
} from './edge-server-options.ts';
import { issuerUsage } from './issuers/issuer-usage.ts';
import type { RotationRequest } from './rotation/rotation-request.ts';
import { isTokenKeyPurpose, tokenKeyPurposes } from './rotation/token-keys.ts';
import { stateUsage } from './state/state-usage.ts';

export const usage = `Usage: countersign-server [options]
       countersign-server rotate-keys [--now] [--purpose NAME] [options]

Runs the Countersign broker on this machine; or has it rotate its token keys.

  --data FOLDER             data folder, made on the first start   COUNTERSIGN_DATA        ./.countersign
  --host ADDRESS            address to listen on                   COUNTERSIGN_HOST        127.0.0.1
  --http-port PORT          plain HTTP                             COUNTERSIGN_HTTP_PORT   ${defaultHttpPort}
  --tls-port PORT           TLS                                    COUNTERSIGN_TLS_PORT    ${defaultTlsPort}
  --broker-url URL          the URL that clients use               COUNTERSIGN_BROKER_URL  http://127.0.0.1:<http port>
  --mtls-url URL            where browsers present certificates    COUNTERSIGN_MTLS_URL    nowhere
  --pki-url URL             in certificates, for CRLs and OCSP     COUNTERSIGN_PKI_URL     the broker URL
  --pki-listen [HOST:]PORT  plain HTTP for these alone             COUNTERSIGN_PKI_LISTEN  nowhere
  --front-socket PATH       unix socket for a TLS front of yours,  COUNTERSIGN_FRONT_SOCKET
                            which is believed about client certificates
  --shards NUMBER           only when the data folder is made      COUNTERSIGN_SHARDS      16
  --tls-certificate FILE    PEM, with its chain; else self-made    COUNTERSIGN_TLS_CERTIFICATE
  --tls-key FILE            PEM, its key                           COUNTERSIGN_TLS_KEY
  --tls-name NAME           further name for the self-made certificate; may be repeated
  --high-water-mark FILE    where the newest state is noted, to     COUNTERSIGN_HIGH_WATER_MARK
                            notice an older data folder; or none   <data folder>.high-water.json
  --worker FILE             built worker module                    COUNTERSIGN_WORKER
  --rotate-keys-days DAYS   age at which token keys are rotated;   COUNTERSIGN_ROTATE_KEYS_DAYS  90
                            0 for never by itself
  --outbound-allow CIDR     private network that the broker may connect to (device management); may be repeated
  --outbound-ca FILE        PEM, authorities that it trusts there, beside the public ones
  --syslog HOST:PORT        receiver of the system log, by TLS     COUNTERSIGN_SYSLOG      nowhere
  --syslog-ca FILE          PEM, authorities that it is trusted by COUNTERSIGN_SYSLOG_CA   the public ones
  --log json|text           form of the log                        COUNTERSIGN_LOG         text on a terminal
  --print-cloudflare-secrets
                            instead of serving: the secrets of the same broker on Cloudflare, as JSON,
                            for "wrangler secret bulk"; with rotate-keys: those that change in the next step
  --now                     rotate-keys: use the new keys as soon as it is safe, not when all devices know them
  --purpose NAME            rotate-keys: ${tokenKeyPurposes.join(', ')};
                            may be repeated; else all
  --help

A flag goes before the environment variable beside it.

Other commands:
${stateUsage}${issuerUsage}`;

export type CommandLine =
  | {
      readonly action: 'rotate_keys';
      readonly options: EdgeServerOptions;
      readonly request: RotationRequest;
      /** The keys are those of a broker on Cloudflare. */
      readonly forCloudflare: boolean;
    }
  | {
      readonly action: 'serve' | 'print_cloudflare_secrets';
      readonly options: EdgeServerOptions;
    }
  | { readonly action: 'help' }
  | { readonly action: 'refuse'; readonly message: string };

const text = { type: 'string' } as const;
const flags = {
  data: text,
  host: text,
  'http-port': text,
  'tls-port': text,
  'broker-url': text,
  'mtls-url': text,
  'front-socket': text,
  'pki-url': text,
  'pki-listen': text,
  shards: text,
  'tls-certificate': text,
  'tls-key': text,
  'tls-name': { type: 'string', multiple: true },
  'high-water-mark': text,
  worker: text,
  'outbound-allow': { type: 'string', multiple: true },
  'outbound-ca': text,
  syslog: text,
  'syslog-ca': text,
  log: text,
  'print-cloudflare-secrets': { type: 'boolean' },
  'rotate-keys-days': text,
  now: { type: 'boolean' },
  purpose: { type: 'string', multiple: true },
  help: { type: 'boolean', short: 'h' },
} as const;

class UsageError extends Error {}

function wholeNumber(value: string | undefined, name: string): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,6}$/.test(value)) throw new UsageError(`${name} must be a number, not "${value}"`);
  return Number(value);
}

function rotationTimes(days: number | undefined) {
  if (days === undefined) return undefined;
  if (days > 3650) throw new UsageError('--rotate-keys-days must be 3650 at most');
  return { everyMs: days === 0 ? undefined : days * 86_400_000 };
}

function rotationRequest(
  atOnce: boolean | undefined,
  purposes: readonly string[] | undefined,
): RotationRequest {
  return {
    atOnce: atOnce === true,
    purposes: (purposes ?? tokenKeyPurposes).map((purpose) => {
      if (isTokenKeyPurpose(purpose)) return purpose;
      throw new UsageError(
        `--purpose must be one of ${tokenKeyPurposes.join(', ')}, not "${purpose}"`,
      );
    }),
  };
}

function outboundOptions(
  allow: readonly string[] | undefined,
  authoritiesFile: string | undefined,
) {
  if (allow === undefined && authoritiesFile === undefined) return undefined;
  return { ...given('allow', allow), ...given('authoritiesFile', authoritiesFile) };
}

function syslogOptions(receiver: string | undefined, authoritiesFile: string | undefined) {
  if (receiver !== undefined) return { receiver, ...given('authoritiesFile', authoritiesFile) };
  if (authoritiesFile === undefined) return undefined;
  throw new UsageError('--syslog-ca belongs to --syslog');
}

function logFormat(value: string | undefined): 'json' | 'text' | undefined {
  if (value === undefined || value === 'json' || value === 'text') return value;
  throw new UsageError(`--log must be json or text, not "${value}"`);
}

/** `PORT`, or `ADDRESS:PORT` with an IPv6 address in brackets. */
function listenAddress(value: string | undefined, host: string | undefined) {
  if (value === undefined) return undefined;
  const [, bracketed, plain, port] =
    /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(value) ?? [];
  if (port === undefined) {
    throw new UsageError(`--pki-listen must be PORT, or ADDRESS:PORT, not "${value}"`);
  }
  return { host: bracketed ?? plain ?? host ?? defaultHost, port: Number(port) };
}

/** Leaves out the members that are undefined, so that a default applies. */
function given<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): { readonly [key in Name]?: Value } {
  const members: { [key in Name]?: Value } = {};
  if (value !== undefined) members[name] = value;
  return members;
}

function readOptions(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): CommandLine {
  const rotates = args[0] === 'rotate-keys';
  const { values } = parseArgs({
    args: args.slice(rotates ? 1 : 0),
    options: flags,
    allowPositionals: false,
  });
  if (values.help === true) return { action: 'help' };
  // An empty variable is one that was meant to be unset.
  const setting = (flag: string | undefined, variable: string) =>
    flag ?? (environment[variable] || undefined);
  const certificateFile = setting(values['tls-certificate'], 'COUNTERSIGN_TLS_CERTIFICATE');
  const keyFile = setting(values['tls-key'], 'COUNTERSIGN_TLS_KEY');
  if ((certificateFile === undefined) !== (keyFile === undefined)) {
    throw new UsageError('--tls-certificate and --tls-key are given together or not at all');
  }
  const tlsFiles =
    certificateFile === undefined || keyFile === undefined
      ? undefined
      : { certificateFile, keyFile };
  const host = setting(values.host, 'COUNTERSIGN_HOST');
  const pkiListen = setting(values['pki-listen'], 'COUNTERSIGN_PKI_LISTEN');
  const syslog = setting(values.syslog, 'COUNTERSIGN_SYSLOG');
  const syslogAuthorities = setting(values['syslog-ca'], 'COUNTERSIGN_SYSLOG_CA');
  const httpPort = setting(values['http-port'], 'COUNTERSIGN_HTTP_PORT');
  const tlsPort = setting(values['tls-port'], 'COUNTERSIGN_TLS_PORT');
  const shards = setting(values.shards, 'COUNTERSIGN_SHARDS');
  const rotateKeysDays = setting(values['rotate-keys-days'], 'COUNTERSIGN_ROTATE_KEYS_DAYS');
  const forCloudflare = values['print-cloudflare-secrets'] === true;
  const options: EdgeServerOptions = {
    dataDirectory: setting(values.data, 'COUNTERSIGN_DATA') ?? '.countersign',
    ...given('host', host),
    ...given('httpPort', wholeNumber(httpPort, '--http-port')),
    ...given('tlsPort', wholeNumber(tlsPort, '--tls-port')),
    ...given('brokerUrl', setting(values['broker-url'], 'COUNTERSIGN_BROKER_URL')),
    ...given('mtlsUrl', setting(values['mtls-url'], 'COUNTERSIGN_MTLS_URL')),
    ...given('pkiUrl', setting(values['pki-url'], 'COUNTERSIGN_PKI_URL')),
    ...given('pkiListen', listenAddress(pkiListen, host)),
    ...given('frontSocket', setting(values['front-socket'], 'COUNTERSIGN_FRONT_SOCKET')),
    ...given('shardCount', wholeNumber(shards, '--shards')),
    ...given('tlsFiles', tlsFiles),
    ...given('tlsNames', values['tls-name']),
    ...given('highWaterMark', setting(values['high-water-mark'], 'COUNTERSIGN_HIGH_WATER_MARK')),
    ...given('workerBundle', setting(values.worker, 'COUNTERSIGN_WORKER')),
    ...given('outbound', outboundOptions(values['outbound-allow'], values['outbound-ca'])),
    ...given('syslog', syslogOptions(syslog, syslogAuthorities)),
    ...given('logFormat', logFormat(setting(values.log, 'COUNTERSIGN_LOG'))),
    ...given('keyRotation', rotationTimes(wholeNumber(rotateKeysDays, '--rotate-keys-days'))),
  };
  if (rotates) {
    const request = rotationRequest(values.now, values.purpose);
    return { action: 'rotate_keys', options, request, forCloudflare };
  }
  if (values.now === true || values.purpose !== undefined) {
    throw new UsageError('--now and --purpose belong to rotate-keys, which comes first');
  }
  return { action: forCloudflare ? 'print_cloudflare_secrets' : 'serve', options };
}

/** @param args without the program's name */
export function parseCommandLine(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): CommandLine {
  try {
    return readOptions(args, environment);
  } catch (error) {
    return { action: 'refuse', message: errorText(error) };
  }
}
