import type { Judge } from './judge.ts';

export interface ExtensionView {
  readonly isCritical: boolean;
  /** Lines of the value, joined with one space. */
  readonly value: string;
}

/** What `openssl` prints of a certificate: the only thing that the tests of the profile look at. */
export interface CertificateView {
  readonly text: string;
  /** Output of `openssl asn1parse`: which types the encoding uses. */
  readonly structure: string;
  /** By the name that openssl prints, in the order of the certificate. */
  readonly extensions: ReadonlyMap<string, ExtensionView>;
  /** The text after a label, up to the end of the line. */
  field(label: string): string;
}

export function viewCertificate(judge: Judge, path: string): CertificateView {
  const names = ['-nameopt', 'RFC2253,-esc_msb,utf8'];
  const text = judge.tell('openssl', 'x509', '-in', path, '-noout', '-text', ...names);
  return {
    text,
    structure: judge.tell('openssl', 'asn1parse', '-in', path),
    extensions: parseExtensions(text),
    field(label) {
      const line = text.split('\n').find((candidate) => candidate.trim().startsWith(label));
      if (line === undefined) throw new Error(`openssl printed no ${label}\n${text}`);
      return line.trim().slice(label.length).trim();
    },
  };
}

/** Names of extensions are indented by twelve spaces, their values by more. */
function parseExtensions(text: string): Map<string, ExtensionView> {
  const extensions = new Map<string, ExtensionView>();
  const lines = text.split('\n');
  const first = lines.findIndex((line) => line.trim() === 'X509v3 extensions:');
  let current: string | undefined;
  for (const line of lines.slice(first + 1)) {
    const name = /^ {12}(\S.*?):\s*(critical)?\s*$/.exec(line);
    const value = extensions.get(current ?? '');
    if (name !== null) {
      current = name[1] ?? '';
      extensions.set(current, { isCritical: name[2] === 'critical', value: '' });
    } else if (/^ {13}/.test(line) && value !== undefined && current !== undefined) {
      extensions.set(current, { ...value, value: `${value.value} ${line.trim()}`.trim() });
    } else if (line.trim() !== '') {
      break;
    }
  }
  return extensions;
}
