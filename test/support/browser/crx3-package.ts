import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zipSync } from 'fflate';

/** A signed extension package as browsers install it by policy. */
export type ExtensionPackage = {
  /** 32 letters from a to p, from the public key. */
  readonly id: string;
  readonly version: string;
  readonly bytes: Uint8Array;
};

/** A new key to sign packages with, PEM. The extension's id follows from it. */
export function createPackageKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/**
 * Packs a built extension as CRX3 (the format of Chromium's components/crx_file/crx3.proto), under another `version`
 * than its own if one is given. The manifest's own `key` is left out, since it would contradict the signature.
 */
export function packExtension(
  folder: string,
  packageKey: string,
  version?: string,
): ExtensionPackage {
  const privateKey = createPrivateKey(packageKey);
  const files = readFolder(folder);
  const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'));
  delete manifest.key;
  if (version !== undefined) manifest.version = version;
  files['manifest.json'] = Buffer.from(JSON.stringify(manifest));
  const { id, bytes } = signCrx3(zipSync(files), privateKey);
  return { id, version: String(manifest.version), bytes };
}

/** Every file below `folder`, by its path in there. */
export function readFolder(folder: string): Record<string, Uint8Array> {
  const files: Record<string, Uint8Array> = {};
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files[path.slice(folder.length + 1)] = readFileSync(path);
  }
  return files;
}

/** What a policy needs to know of an extension that lies ready to be installed. */
export type PublishedExtension = { readonly id: string; readonly updateUrl: string };

/** Lays the package and its update description into `folder`, from where a browser installs it without a server. */
export function publishExtension(packed: ExtensionPackage, folder: string): PublishedExtension {
  const packageFile = join(folder, `countersign-${packed.version}.crx`);
  const updateFile = join(folder, 'update.xml');
  mkdirSync(folder, { recursive: true });
  writeFileSync(packageFile, packed.bytes);
  writeFileSync(
    updateFile,
    `<gupdate xmlns='http://www.google.com/update2/response' protocol='2.0'><app appid='${packed.id}'><updatecheck codebase='file://${packageFile}' version='${packed.version}'/></app></gupdate>`,
  );
  return { id: packed.id, updateUrl: `file://${updateFile}` };
}

function signCrx3(zip: Uint8Array, privateKey: KeyObject): { id: string; bytes: Uint8Array } {
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const idBytes = createHash('sha256').update(publicKey).digest().subarray(0, 16);
  const signedHeaderData = protobufField(1, idBytes);
  const signedBytes = Buffer.concat([
    Buffer.from('CRX3 SignedData\0'),
    uint32(signedHeaderData.length),
    signedHeaderData,
    zip,
  ]);
  const proof = Buffer.concat([
    protobufField(1, publicKey),
    protobufField(2, sign('sha256', signedBytes, privateKey)),
  ]);
  // Field 3 is the list of ECDSA proofs.
  const header = Buffer.concat([protobufField(3, proof), protobufField(10_000, signedHeaderData)]);
  const start = Buffer.concat([Buffer.from('Cr24'), uint32(3), uint32(header.length)]);
  return { id: lettersOf(idBytes), bytes: Buffer.concat([start, header, zip]) };
}

/** Extension ids write hexadecimal with the letters a to p. */
function lettersOf(bytes: Buffer): string {
  return [...bytes.toString('hex')]
    .map((digit) => String.fromCharCode(97 + Number.parseInt(digit, 16)))
    .join('');
}

function protobufField(number: number, value: Uint8Array): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(value.length), value]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 127) | 128);
  }
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
