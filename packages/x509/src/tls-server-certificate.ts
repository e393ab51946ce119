import { type Bytes, concatBytes, textBytes } from './bytes.ts';
import { contextPrimitive } from './der/tag.ts';
import { encodeElement } from './der/writer.ts';
import {
  endEntityConstraints,
  extendedKeyUsageExtension,
  keyUsageExtension,
  subjectAltNameExtension,
  subjectKeyIdentifierExtension,
} from './encode-extension.ts';
import { encodeName } from './name.ts';
import { oid } from './object-identifiers.ts';
import { attempt, expectValue, X509Error, type X509Result } from './result.ts';
import {
  algorithmIdentifierOf,
  type CertificateToBeSigned,
  type CommonFields,
  encodeToBeSigned,
  validityWithin,
} from './to-be-signed.ts';

export interface TlsServerFields extends CommonFields {
  /** Lower-case host names without wildcard. At least one name of either kind. */
  readonly dnsNames: readonly string[];
  /** Each 4 or 16 octets. */
  readonly ipAddresses: readonly Uint8Array[];
}

/**
 * A self-signed certificate for a TLS server on the same machine, with a key of its own: no authority
 * of the organisation vouches for servers. Shaped as RFC 5280 and RFC 9525 ask of a server.
 */
export function buildTlsServerToBeSigned(
  fields: TlsServerFields,
): X509Result<CertificateToBeSigned> {
  return attempt(() => {
    const validity = validityWithin(fields, undefined);
    const names = [...fields.dnsNames.map(dnsName), ...fields.ipAddresses.map(ipName)];
    if (names.length === 0) throw new X509Error('field_not_allowed', 'dnsNames: no name at all');
    const subject = expectValue(encodeName(fields.commonName));
    const { kind, spki, keyIdentifier } = fields.subjectPublicKey;
    const toBeSigned = encodeToBeSigned({
      serialNumber: fields.serialNumber,
      algorithmAndIssuer: concatBytes(algorithmIdentifierOf(kind), subject),
      validity,
      subject,
      spki,
      extensions: [
        endEntityConstraints(),
        keyUsageExtension('digitalSignature'),
        extendedKeyUsageExtension(false, oid.serverAuth),
        subjectAltNameExtension(...names),
        subjectKeyIdentifierExtension(keyIdentifier),
      ],
    });
    return { toBeSigned, ...validity };
  });
}

const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
const hostName = /* @__PURE__ */ new RegExp(`^${label}(\\.${label})*$`);

function dnsName(name: string): Bytes {
  if (name.length > 253 || !hostName.test(name)) {
    throw new X509Error('field_not_allowed', 'dnsNames: not a lower-case host name');
  }
  return encodeElement(contextPrimitive(2), textBytes(name));
}

function ipName(address: Uint8Array): Bytes {
  if (address.length !== 4 && address.length !== 16) {
    throw new X509Error('field_not_allowed', 'ipAddresses: not 4 or 16 octets');
  }
  return encodeElement(contextPrimitive(7), address);
}
