import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { encodeBase64url, type ProblemCode } from '@countersign/protocol';
import {
  type ParsedCertificate,
  parseCertificate,
  readDeviceUri,
  verifyIssuedBy,
} from '@countersign/x509';
import * as z from 'zod/mini';
import { NewestEntries } from '../challenge/newest-entries.ts';

/** A device certificate of ours, whose key the client of this request has proved to hold. */
export type ClientCertificate = {
  readonly deviceId: string;
  /** base64url SHA-256 of its bytes. */
  readonly sha256: string;
};

type RefusalCode = Extract<ProblemCode, `mtls_certificate_${string}`>;

export type ClientCertificateResult =
  | { readonly ok: true; readonly certificate: ClientCertificate }
  /** `detail` is for the log. */
  | { readonly ok: false; readonly code: RefusalCode; readonly detail: string };

/**
 * `request.cf.tlsClientAuth` as it must be word for word. There are many ways to say that a certificate is not verified
 * ("NONE", "FAILED:" with this or that behind it, a placeholder, nothing at all), and one to say that it is.
 */
const verifiedClient = z.object({
  certPresented: z.literal('1'),
  certVerified: z.literal('SUCCESS'),
  certRevoked: z.literal('0'),
  // RFC 9440 section 2.1: base64 between colons.
  certRFC9440: z.string().check(z.maxLength(10 * 1024), z.regex(/^:[A-Za-z0-9+/]+={0,2}:$/)),
  certRFC9440TooLarge: z.literal(false),
});

const cfWithClient = z.object({
  tlsClientAuth: z.object({ certPresented: z.literal('1'), certVerified: z.optional(z.unknown()) }),
});
const wholeCf = z.object({ tlsClientAuth: verifiedClient });

/** Failures that have a code of their own. They are the front's word, and refuse whatever is true. */
const codeOfFailure: ReadonlyMap<unknown, RefusalCode> = new Map([
  ['FAILED:certificate has expired', 'mtls_certificate_expired'],
  ['FAILED:certificate is not yet valid', 'mtls_certificate_not_yet_valid'],
]);

/** The text of `certRFC9440` without its colons. */
type Presented =
  | { readonly ok: true; readonly base64: string }
  | Extract<ClientCertificateResult, { ok: false }>;

function readPresented(cf: unknown): Presented {
  const whole = z.safeParse(wholeCf, cf);
  if (whole.success) return { ok: true, base64: whole.data.tlsClientAuth.certRFC9440.slice(1, -1) };
  const partly = z.safeParse(cfWithClient, cf);
  if (!partly.success) {
    return { ok: false, code: 'mtls_certificate_missing', detail: 'no certificate in request.cf' };
  }
  const { certVerified } = partly.data.tlsClientAuth;
  const code = codeOfFailure.get(certVerified);
  if (code !== undefined) return { ok: false, code, detail: String(certVerified) };
  const [issue] = whole.error.issues;
  const detail = `${issue?.path.join('.') ?? 'request.cf'}: ${issue?.message ?? 'is malformed'}`;
  return { ok: false, code: 'mtls_certificate_not_verified', detail };
}

/** What follows from the bytes and the issuers, whatever the time. */
type KnownCertificate = ClientCertificate & {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
};

const maxRemembered = 4096;
/** Ours are half as long. */
const maxRememberedCharacters = 4096;

/**
 * Reads and judges the certificates that clients present in TLS. The front's word is needed for one thing alone, that
 * the client holds the key; that the certificate is of our issuer, a device's, and valid now is found out here. What
 * has become of it since it was issued is on record, and is for the decision.
 */
export class ClientCertificates {
  readonly #issuers: readonly ParsedCertificate[];
  /** By base64. The same bytes under the same issuers are always the same certificate. */
  readonly #remembered = new NewestEntries<KnownCertificate>(maxRemembered);

  /** @param issuers DER of the certificates under which devices are known */
  constructor(issuers: readonly Uint8Array[]) {
    this.#issuers = issuers.map((der) => {
      const parsed = parseCertificate(der);
      if (!parsed.ok) throw new Error(`issuer: ${parsed.detail}`);
      return parsed.value;
    });
  }

  /** @param cf `request.cf` of the request, as it came */
  async read(cf: unknown, nowMs: number): Promise<ClientCertificateResult> {
    const presented = readPresented(cf);
    if (!presented.ok) return presented;
    const known = await this.#know(presented.base64);
    if (typeof known === 'string') {
      return { ok: false, code: 'mtls_certificate_foreign', detail: known };
    }
    const { notBeforeMs, notAfterMs, deviceId, sha256 } = known;
    const refuse = (code: RefusalCode): ClientCertificateResult => ({
      ok: false,
      code,
      detail: `certificate ${sha256} of device ${deviceId}`,
    });
    if (!(nowMs >= notBeforeMs)) return refuse('mtls_certificate_not_yet_valid');
    // notAfter is the last second of validity, and all of it counts (RFC 5280 section 4.1.2.5).
    if (!(nowMs < notAfterMs + 1000)) return refuse('mtls_certificate_expired');
    return { ok: true, certificate: { deviceId, sha256 } };
  }

  /** @returns why it is none of ours, for the log */
  async #know(base64: string): Promise<KnownCertificate | string> {
    const remembered = this.#remembered.get(base64);
    if (remembered !== undefined) return remembered;
    const der = new Uint8Array(Buffer.from(base64, 'base64'));
    if (Buffer.from(der).toString('base64') !== base64) return 'not canonical base64';
    const parsed = parseCertificate(der);
    if (!parsed.ok) return `${parsed.reason}: ${parsed.detail}`;
    const deviceId = readDeviceUri(parsed.value);
    if (!deviceId.ok) return `${deviceId.reason}: ${deviceId.detail}`;
    const refusal = await this.#findRefusal(parsed.value);
    if (refusal !== undefined) return refusal;
    const { notBeforeMs, notAfterMs } = parsed.value;
    const sha256 = encodeBase64url(new Uint8Array(createHash('sha256').update(der).digest()));
    const known = { deviceId: deviceId.value, sha256, notBeforeMs, notAfterMs };
    if (base64.length <= maxRememberedCharacters) this.#remembered.set(base64, known);
    return known;
  }

  /** `undefined` when one of the issuers has signed it, as a device's. Its validity is judged by each request's clock. */
  async #findRefusal(certificate: ParsedCertificate): Promise<string | undefined> {
    let refusal = 'there is no issuer';
    for (const issuer of this.#issuers) {
      const issued = await verifyIssuedBy(certificate, issuer, 'device', certificate.notBeforeMs);
      if (issued.ok) return undefined;
      refusal = `${issued.reason}: ${issued.detail}`;
    }
    return refusal;
  }
}
