import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** Certificates of TPM makers, in every shape that a test asks for: an encoder of its own, which refuses nothing. */

const der = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
};
const sequence = (...parts: readonly Uint8Array[]) => der(0x30, ...parts);
const octets = (bytes: Uint8Array) => der(0x04, bytes);
const bits = (bytes: Uint8Array) => der(0x03, Buffer.from([0]), bytes);
const yes = der(0x01, Buffer.from([0xff]));
const utf8 = (text: string) => der(0x0c, Buffer.from(text));

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const base128 = (value: number): number[] =>
    value < 128
      ? [value]
      : [...base128(Math.floor(value / 128)).map((part) => part | 0x80), value % 128];
  return der(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

const nameOf = (commonName: string) =>
  sequence(der(0x31, sequence(oid('2.5.4.3'), utf8(commonName))));
const time = (ms: number) => {
  const digits = new Date(ms).toISOString().replace(/\..*$|[^0-9]/g, '');
  return ms < Date.UTC(2050, 0)
    ? der(0x17, Buffer.from(`${digits.slice(2)}Z`))
    : der(0x18, Buffer.from(`${digits}Z`));
};
const extension = (id: string, isCritical: boolean, value: Uint8Array) =>
  sequence(oid(id), ...(isCritical ? [yes] : []), octets(value));

const keyUsageBits = {
  digitalSignature: 0x80,
  keyEncipherment: 0x20,
  keyAgreement: 0x08,
  keyCertSign: 0x04,
};
export type FakeKeyUsage = keyof typeof keyUsageBits;
const unusedBits = (byte: number) => 31 - Math.clz32(byte & -byte);

function keyUsage(usages: readonly FakeKeyUsage[]): Buffer {
  const byte = usages.reduce((all, usage) => all | keyUsageBits[usage], 0);
  return extension('2.5.29.15', true, der(0x03, Buffer.from([unusedBits(byte), byte])));
}

const basicConstraints = (isCa: boolean, pathLength?: number) => {
  const path = pathLength === undefined ? [] : [der(0x02, Buffer.from([pathLength]))];
  return extension('2.5.29.19', true, sequence(...(isCa ? [yes, ...path] : [])));
};

/** Manufacturer, model and version, as the TCG has them. */
const tpmName = extension(
  '2.5.29.17',
  true,
  sequence(
    der(
      0xa4,
      sequence(
        der(0x31, sequence(oid('2.23.133.2.1'), utf8('id:54455354'))),
        der(0x31, sequence(oid('2.23.133.2.2'), utf8('Fake'))),
        der(0x31, sequence(oid('2.23.133.2.3'), utf8('id:00010000'))),
      ),
    ),
  ),
);

const endorsementPurpose = '2.23.133.8.1';
const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));
const dayMs = 86_400_000;

export type FakeEndorsementOptions = {
  /** Dotted; `undefined` for no such extension, `[]` for an empty one. */
  readonly purposes?: readonly string[] | undefined;
  readonly usages?: readonly FakeKeyUsage[];
  readonly isCa?: boolean;
  readonly hasTpmName?: boolean;
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
  /** More extensions, DER. */
  readonly extensions?: readonly Uint8Array[];
};

export type FakeAuthorityOptions = {
  readonly isCa?: boolean;
  readonly maySign?: boolean;
  readonly pathLength?: number;
  readonly purposes?: readonly string[];
  readonly notAfterMs?: number;
};

/** A maker of TPMs, or one of its authorities. */
export class FakeEndorsementAuthority {
  readonly certificate: Buffer;
  readonly #name: string;
  readonly #key: KeyObject;
  readonly #nowMs: number;

  private constructor(
    name: string,
    nowMs: number,
    options: FakeAuthorityOptions,
    issuer?: FakeEndorsementAuthority,
  ) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#name = name;
    this.#key = privateKey;
    this.#nowMs = nowMs;
    const { isCa = true, maySign = true, pathLength, purposes, notAfterMs } = options;
    const extensions = [
      basicConstraints(isCa, pathLength),
      keyUsage(maySign ? ['keyCertSign'] : ['digitalSignature']),
      ...(purposes === undefined
        ? []
        : [extension('2.5.29.37', false, sequence(...purposes.map(oid)))]),
    ];
    const spki = publicKey.export({ format: 'der', type: 'spki' });
    this.certificate = (issuer ?? this).#sign(name, spki, extensions, nowMs - dayMs, notAfterMs);
  }

  static root(
    name: string,
    nowMs: number,
    options: FakeAuthorityOptions = {},
  ): FakeEndorsementAuthority {
    return new FakeEndorsementAuthority(name, nowMs, options);
  }

  under(name: string, options: FakeAuthorityOptions = {}): FakeEndorsementAuthority {
    return new FakeEndorsementAuthority(name, this.#nowMs, options, this);
  }

  get pem(): string {
    const base64 = this.certificate.toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
    return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
  }

  /** @param spki of the endorsement key, DER */
  certify(spki: Uint8Array, options: FakeEndorsementOptions = {}): Buffer {
    const { usages = ['keyEncipherment'], isCa = false, hasTpmName = true } = options;
    const purposes = 'purposes' in options ? options.purposes : [endorsementPurpose];
    const extensions = [
      basicConstraints(isCa),
      keyUsage(usages),
      ...(purposes === undefined
        ? []
        : [extension('2.5.29.37', false, sequence(...purposes.map(oid)))]),
      ...(hasTpmName ? [tpmName] : []),
      ...(options.extensions ?? []),
    ];
    const { notBeforeMs = this.#nowMs - dayMs, notAfterMs } = options;
    // As TPMs have it: who it is for is said in the alternative name.
    const subject = hasTpmName ? undefined : 'Somebody';
    return this.#sign(subject, spki, extensions, notBeforeMs, notAfterMs);
  }

  #sign(
    subject: string | undefined,
    spki: Uint8Array,
    extensions: readonly Uint8Array[],
    notBeforeMs: number,
    notAfterMs = this.#nowMs + 3650 * dayMs,
  ): Buffer {
    const serialNumber = randomBytes(8);
    serialNumber[0] = 0x40;
    const toBeSigned = sequence(
      der(0xa0, der(0x02, Buffer.from([2]))),
      der(0x02, serialNumber),
      ecdsaWithSha256,
      nameOf(this.#name),
      sequence(time(notBeforeMs), time(notAfterMs)),
      subject === undefined ? sequence() : nameOf(subject),
      spki,
      der(0xa3, sequence(...extensions)),
    );
    const signature = sign('sha256', toBeSigned, this.#key);
    return sequence(toBeSigned, ecdsaWithSha256, bits(signature));
  }
}

/** An extension that nobody knows. */
export const unknownExtension = (isCritical: boolean) =>
  extension('1.3.6.1.4.1.99999.1', isCritical, sequence());
