import { dirname, relative } from 'node:path';

/** The text of a workerd configuration (Cap'n Proto), built from values and never from pasted text. */

/** The same as `compatibility_date` in wrangler.toml; not later than the date of the pinned workerd. */
export const compatibilityDate = '2026-08-15';

/** Header in which the front hands `request.cf` to workerd. Only the front can reach workerd's socket. */
export const cfBlobHeader = 'CF-Blob';
/** Header in which the front says whether the client spoke http or https. */
export const forwardedProtoHeader = 'X-Forwarded-Proto';

export type KeyUse = 'ecdsa_sign' | 'ecdh_derive' | 'hmac_sign' | 'aes_gcm';

export type WorkerdConfiguration = {
  /** Where the text will lie; the files below are embedded relative to it. Absolute, as are all paths here. */
  readonly path: string;
  readonly workerBundle: string;
  readonly socket: string;
  readonly durableObjects: string;
  readonly texts: Readonly<Record<string, string>>;
  /** Texts that are secret: they stay in their files, and out of the configuration. */
  readonly textFiles?: Readonly<Record<string, string>>;
  /** Bound as CryptoKey objects that cannot be exported: the worker can use these keys but not read them. */
  readonly keys: Readonly<Record<string, { readonly use: KeyUse; readonly file: string }>>;
  /** Where the broker may open connections to. Default: nowhere. */
  readonly outbound?: OutboundNetwork;
};

/** Public addresses, and what is named here. workerd looks at the address that a name resolves to, at each connection. */
export type OutboundNetwork = {
  /** Further networks, in CIDR notation. */
  readonly allow: readonly string[];
  /** PEM texts of further authorities for TLS servers. */
  readonly authorities: readonly string[];
};

/**
 * Durable Object classes. Object ids follow from `uniqueKey`, and with them the names of the database files: a key is
 * never changed or used again.
 */
export const durableObjectClasses = [
  { binding: 'DEVICE', className: 'DeviceObject', uniqueKey: 'countersign-device-v1' },
  {
    binding: 'ORGANIZATION',
    className: 'OrganizationObject',
    uniqueKey: 'countersign-organization-v1',
  },
  { binding: 'KEY', className: 'KeyObject', uniqueKey: 'countersign-key-v1' },
  {
    binding: 'REVOCATION',
    className: 'RevocationObject',
    uniqueKey: 'countersign-revocation-v1',
  },
  { binding: 'REPORT', className: 'ReportObject', uniqueKey: 'countersign-report-v1' },
  {
    binding: 'INTEGRATION',
    className: 'IntegrationObject',
    uniqueKey: 'countersign-integration-v1',
  },
] as const;

const keyParameters: Record<KeyUse, { source: string; algorithm: object; usages: string }> = {
  ecdsa_sign: {
    source: 'pkcs8',
    algorithm: { name: 'ECDSA', namedCurve: 'P-256' },
    usages: 'sign',
  },
  ecdh_derive: {
    source: 'pkcs8',
    algorithm: { name: 'ECDH', namedCurve: 'P-256' },
    usages: 'deriveBits',
  },
  hmac_sign: { source: 'raw', algorithm: { name: 'HMAC', hash: 'SHA-256' }, usages: 'sign' },
  aes_gcm: { source: 'raw', algorithm: { name: 'AES-GCM' }, usages: 'encrypt, decrypt' },
};

/**
 * A Cap'n Proto text literal. Everything but printable ASCII is written as the octal escapes of its UTF-8 bytes, so
 * that no value can end the literal. NUL is refused: a Cap'n Proto text cannot hold it faithfully.
 */
export function capnpText(value: string): string {
  let literal = '"';
  for (const byte of Buffer.from(value, 'utf8')) {
    if (byte === 0) throw new RangeError('a setting must not contain a NUL character');
    const character = String.fromCharCode(byte);
    if (character === '"' || character === '\\') literal += `\\${character}`;
    else if (byte >= 0x20 && byte < 0x7f) literal += character;
    else literal += `\\${byte.toString(8).padStart(3, '0')}`;
  }
  return `${literal}"`;
}

function bindingLines({ path, texts, textFiles = {}, keys }: WorkerdConfiguration): string[] {
  const embed = (file: string) => `embed ${capnpText(relative(dirname(path), file))}`;
  return [
    ...durableObjectClasses.map(
      ({ binding, className }) =>
        `(name = ${capnpText(binding)}, durableObjectNamespace = ${capnpText(className)})`,
    ),
    ...Object.entries(texts).map(
      ([name, value]) => `(name = ${capnpText(name)}, text = ${capnpText(value)})`,
    ),
    ...Object.entries(textFiles).map(
      ([name, file]) => `(name = ${capnpText(name)}, text = ${embed(file)})`,
    ),
    ...Object.entries(keys).map(([name, { use, file }]) => {
      const { source, algorithm, usages } = keyParameters[use];
      const algorithmText = capnpText(JSON.stringify(algorithm));
      return `(name = ${capnpText(name)}, cryptoKey = (${source} = ${embed(file)}, algorithm = (json = ${algorithmText}), extractable = false, usages = [${usages}]))`;
    }),
  ];
}

/** `text`: the worker's own rule for URLs has to know the networks as well. */
function outboundLines(outbound: OutboundNetwork | undefined): {
  readonly network: string;
  readonly texts: Readonly<Record<string, string>>;
} {
  if (outbound === undefined) return { network: '(allow = [])', texts: {} };
  const { allow, authorities } = outbound;
  const texts = (values: readonly string[]) => `[${values.map(capnpText).join(', ')}]`;
  return {
    network: `(allow = ${texts(['public', ...allow])}, tlsOptions = (trustBrowserCas = true, trustedCertificates = ${texts(authorities)}))`,
    texts: allow.length === 0 ? {} : { OUTBOUND_NETWORKS: allow.join(' ') },
  };
}

/** The whole configuration; its constant is called `config`. */
export function workerdConfigurationText(configuration: WorkerdConfiguration): string {
  const { path, workerBundle, socket, durableObjects, texts } = configuration;
  const outbound = outboundLines(configuration.outbound);
  const namespaces = durableObjectClasses.map(
    ({ className, uniqueKey }) =>
      `(className = ${capnpText(className)}, uniqueKey = ${capnpText(uniqueKey)}, enableSql = true)`,
  );
  const list = (lines: readonly string[]) => lines.map((line) => `    ${line},`).join('\n');
  return `# Written by the edge server at every start; changes made here are lost.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "broker", worker = .broker),
    (name = "durable-objects", disk = (path = ${capnpText(durableObjects)}, writable = true)),
    # All that the broker can reach, whatever URL or name it is given; "public" leaves this machine and private networks out.
    (name = "outbound", network = ${outbound.network}),
  ],
  sockets = [
    (
      name = "front",
      address = ${capnpText(`unix:${socket}`)},
      http = (cfBlobHeader = ${capnpText(cfBlobHeader)}, forwardedProtoHeader = ${capnpText(forwardedProtoHeader)}),
      service = "broker",
    ),
  ],
);

const broker :Workerd.Worker = (
  modules = [(name = "index.js", esModule = embed ${capnpText(relative(dirname(path), workerBundle))})],
  compatibilityDate = ${capnpText(compatibilityDate)},
  globalOutbound = "outbound",
  bindings = [
${list(bindingLines({ ...configuration, texts: { ...texts, ...outbound.texts } }))}
  ],
  durableObjectNamespaces = [
${list(namespaces)}
  ],
  durableObjectStorage = (localDisk = "durable-objects"),
);
`;
}
