import { execFile } from 'node:child_process';
import {
  constants,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  privateDecrypt,
  X509Certificate,
} from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readElement, readMembers } from '@countersign/testkit/der-writer';
import { makePkiMessage } from '@countersign/testkit/fake-scep-client';
import { listenOnFreePort } from '@countersign/testkit/listen-on-free-port';
import type { ScepWorld } from './scep-world.ts';

const run = promisify(execFile);
const timeout = 30_000;

/**
 * Between micromdm's scepclient and the broker. The client, as Debian has it, encrypts with single DES and signs with
 * SHA-1 whatever a server says it can, and is refused. This opens its message with the authority's own key, which the
 * test has from the broker's folder, and packs the same PKCS#10 request into AES and SHA-256, signed with the client's
 * key and certificate. Answers go to the client as they are.
 */
export class ScepclientGateway {
  readonly #world: ScepWorld;
  readonly #folder: string;
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  #url = '';
  /** Repacks messages; without it they go on as the client made them. */
  repacks = true;

  private constructor(world: ScepWorld, folder: string) {
    this.#world = world;
    this.#folder = folder;
  }

  static async start(world: ScepWorld, folder: string): Promise<ScepclientGateway> {
    const gateway = new ScepclientGateway(world, folder);
    const port = await listenOnFreePort(gateway.#server);
    gateway.#url = `http://127.0.0.1:${port}`;
    return gateway;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Runs the client in its folder: it enrolls, or renews when it has a certificate. Gives what it logged. */
  async run(names: { readonly commonName: string; readonly challenge?: string }): Promise<string> {
    const fingerprint = createHash('sha256').update(this.#world.authorityCertificate).digest('hex');
    const { stdout, stderr } = await run(
      'scepclient',
      [
        ...['-server-url', `${this.#url}${this.#world.path}`],
        ...['-private-key', join(this.#folder, 'client.key')],
        ...['-certificate', this.certificateFile],
        ...['-cn', names.commonName, '-ca-fingerprint', fingerprint, '-debug'],
        ...(names.challenge === undefined ? [] : ['-challenge', names.challenge]),
      ],
      { cwd: this.#folder, timeout },
    );
    return stdout + stderr;
  }

  get certificateFile(): string {
    return join(this.#folder, 'client.pem');
  }

  get keyPem(): string {
    return readFileSync(join(this.#folder, 'client.key'), 'utf8');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const body = Buffer.concat(await request.toArray());
      const isMessage = request.method === 'POST';
      const answer = await this.#world.broker.client.request(request.url ?? '/', {
        method: request.method ?? 'GET',
        headers: { 'Content-Type': request.headers['content-type'] ?? 'text/plain' },
        ...(isMessage ? { body: Uint8Array.from(this.repacks ? this.#repack(body) : body) } : {}),
      });
      const type = answer.headers.get('Content-Type') ?? '';
      response.writeHead(answer.status, { 'Content-Type': type });
      response.end(Buffer.from(await answer.arrayBuffer()));
    } catch (error) {
      response.writeHead(502).end(String(error));
    }
  }

  #repack(message: Buffer): Buffer {
    const signedData = insideContentInfo(message);
    const [, , encapsulated, certificates, signerInfos] = readMembers(signedData);
    const [, explicit] = readMembers(encapsulated?.content ?? message);
    const csr = this.#openLegacyEnvelope(readElement(explicit?.content ?? message).content);
    const privateKey = createPrivateKey(this.keyPem);
    const identity = {
      privateKey,
      publicKey: createPublicKey(privateKey),
      // pkcs7 of Go wraps the one certificate in nothing: the element itself.
      certificate: Uint8Array.from(readElement(certificates?.content ?? message).element),
    };
    const attributes = readMembers(signerInfos?.content ?? message)[0];
    return Buffer.from(
      makePkiMessage(identity, this.#world.authorityCertificate, csr, {
        messageType: printableAfter(attributes?.content ?? message, messageTypeId),
        transactionId: printableAfter(attributes?.content ?? message, transactionIdId),
      }),
    );
  }

  #openLegacyEnvelope(envelope: Uint8Array): Buffer {
    const [, recipients, encrypted] = readMembers(insideContentInfo(envelope));
    const [recipient] = readMembers(recipients?.content ?? envelope);
    const encryptedKey = readMembers(recipient?.content ?? envelope)[3]?.content ?? envelope;
    const authorityKey = readFileSync(join(this.#world.broker.dataDirectory, 'keys/scep-ra.pem'));
    const key = privateDecrypt(
      { key: createPrivateKey(authorityKey), padding: constants.RSA_PKCS1_PADDING },
      encryptedKey,
    );
    const [, algorithm, content] = readMembers(encrypted?.content ?? envelope);
    const vector = readMembers(algorithm?.content ?? envelope)[1]?.content ?? envelope;
    const [octets] = content?.tag === 0xa0 ? readMembers(content.content) : [content];
    // Node has no single DES; three times with one key is the same.
    const cipher = createDecipheriv('des-ede3-cbc', Buffer.concat([key, key, key]), vector);
    return Buffer.concat([cipher.update(octets?.content ?? envelope), cipher.final()]);
  }
}

const messageTypeId = Buffer.from('060a6086480186f845010902', 'hex');
const transactionIdId = Buffer.from('060a6086480186f845010907', 'hex');

/** The PrintableString of an attribute, found by the attribute's object identifier. */
function printableAfter(content: Uint8Array, id: Buffer): string {
  const bytes = Buffer.from(content);
  const set = readElement(bytes.subarray(bytes.indexOf(id) + id.length));
  return Buffer.from(readElement(set.content).content).toString('latin1');
}

function insideContentInfo(message: Uint8Array): Uint8Array {
  const [, explicit] = readMembers(readElement(message).content);
  return readElement(explicit?.content ?? message).content;
}

/** strongSwan's `pki --scep`: AES and SHA-256, as RFC 8894 has it. */
export class StrongswanClient {
  readonly #world: ScepWorld;
  readonly #folder: string;

  constructor(world: ScepWorld, folder: string) {
    this.#world = world;
    this.#folder = folder;
    for (const [i, certificate] of world.certificates.entries()) {
      writeFileSync(
        join(folder, `authority-${i}.pem`),
        new X509Certificate(certificate).toString(),
      );
    }
  }

  /** Enrolls, or, with `renewing`, renews the certificate in that file by its key. Gives the certificate's file. */
  async run(asked: {
    readonly name: string;
    readonly distinguishedName: string;
    readonly challenge?: string;
    readonly renewing?: string;
  }): Promise<string> {
    const { name, distinguishedName, challenge, renewing } = asked;
    const file = (suffix: string) => join(this.#folder, `${name}.${suffix}`);
    await run('openssl', ['genrsa', '-out', file('key'), '2048'], { timeout });
    const authority = (i: number) => join(this.#folder, `authority-${i}.pem`);
    const { stdout } = await run(
      'pki',
      [
        '--scep',
        ...['--url', this.#world.url, '--in', file('key'), '--dn', distinguishedName],
        ...['--cacert-enc', authority(0), '--cacert-sig', authority(0)],
        ...['--cacert', authority(1), '--cacert', authority(2)],
        ...['--cipher', 'aes', '--digest', 'sha256', '--outform', 'pem'],
        ...(challenge === undefined ? [] : ['--password', challenge]),
        ...(renewing === undefined
          ? []
          : [
              ...['--cert', join(this.#folder, `${renewing}.pem`)],
              ...['--key', join(this.#folder, `${renewing}.key`)],
            ]),
      ],
      { cwd: this.#folder, timeout },
    );
    writeFileSync(file('pem'), stdout);
    return file('pem');
  }
}
