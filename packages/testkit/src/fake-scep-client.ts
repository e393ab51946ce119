import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto';
import {
  bitString,
  type DerValue,
  der,
  indefinite,
  nothing,
  objectIdentifier,
  octetString,
  printableString,
  readElement,
  readMembers,
  sequence,
  setOf,
  smallInteger,
  utf8String,
} from './der-writer.ts';

/** A SCEP client (RFC 8894) with real keys, of Node's cryptography alone, that also says what no client should. */

const id = {
  data: '1.2.840.113549.1.7.1',
  signedData: '1.2.840.113549.1.7.2',
  envelopedData: '1.2.840.113549.1.7.3',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  challengePassword: '1.2.840.113549.1.9.7',
  extensionRequest: '1.2.840.113549.1.9.14',
  subjectAltName: '2.5.29.17',
  commonName: '2.5.4.3',
  serialNumber: '2.5.4.5',
  rsaEncryption: '1.2.840.113549.1.1.1',
  sha256WithRsa: '1.2.840.113549.1.1.11',
  messageType: '2.16.840.1.113733.1.9.2',
  pkiStatus: '2.16.840.1.113733.1.9.3',
  failInfo: '2.16.840.1.113733.1.9.4',
  senderNonce: '2.16.840.1.113733.1.9.5',
  recipientNonce: '2.16.840.1.113733.1.9.6',
  transactionId: '2.16.840.1.113733.1.9.7',
  failInfoText: '1.3.6.1.5.5.7.24.1',
} as const;

const digestIds = {
  sha256: '2.16.840.1.101.3.4.2.1',
  sha1: '1.3.14.3.2.26',
  md5: '1.2.840.113549.2.5',
} as const;

const ciphers = {
  'aes-128-cbc': { id: '2.16.840.1.101.3.4.1.2', keyBytes: 16, blockBytes: 16 },
  'aes-256-cbc': { id: '2.16.840.1.101.3.4.1.42', keyBytes: 32, blockBytes: 16 },
  'des-ede3-cbc': { id: '1.2.840.113549.3.7', keyBytes: 24, blockBytes: 8 },
} as const;

export type ScepIdentity = {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** DER: self-signed, or one that was issued. */
  readonly certificate: Uint8Array<ArrayBuffer>;
};

export type RequestNames = {
  readonly challenge?: string;
  readonly serialNumber?: string;
  readonly commonName?: string;
  readonly uris?: readonly string[];
};

export type MessageOptions = {
  readonly messageType?: string;
  readonly transactionId?: string;
  readonly digest?: keyof typeof digestIds;
  readonly cipher?: keyof typeof ciphers;
  /** What to be the encrypted content key, in place of the right one. */
  readonly encryptedKey?: Uint8Array;
  /** The whole EnvelopedData, made elsewhere. */
  readonly envelope?: Uint8Array;
  /** What to encrypt, in place of the request. */
  readonly content?: Uint8Array;
  /** Whose key signs; the key of the request by default. */
  readonly signer?: ScepIdentity;
  /** In BER with indefinite lengths, and the encrypted content in pieces, as some clients write. */
  readonly ber?: boolean;
};

const name = (commonName: string) =>
  sequence(setOf(sequence(objectIdentifier(id.commonName), utf8String(commonName))));

const spkiOf = (key: KeyObject) => new Uint8Array(key.export({ type: 'spki', format: 'der' }));

/** SEQUENCE of a statement, its algorithm and its signature, as certificates and requests have it. */
function signedBy(privateKey: KeyObject, statement: Uint8Array): DerValue {
  const signature = sign('sha256', statement, privateKey);
  const algorithm = sequence(objectIdentifier(id.sha256WithRsa), nothing());
  return sequence(statement, algorithm, bitString(signature));
}

/** A new RSA key with a certificate that it has signed itself, for messages and nothing else. */
export function makeScepIdentity(modulusLength = 2048): ScepIdentity {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength });
  const time = (text: string) => der(0x17, Buffer.from(text));
  const tbs = sequence(
    der(0xa0, smallInteger(2)),
    smallInteger(1),
    sequence(objectIdentifier(id.sha256WithRsa), nothing()),
    name('SCEP client'),
    sequence(time('250101000000Z'), time('490101000000Z')),
    name('SCEP client'),
    spkiOf(publicKey),
  );
  return { privateKey, publicKey, certificate: signedBy(privateKey, tbs) };
}

/** A PKCS#10 request in DER. */
export function makeScepRequest(
  { privateKey, publicKey }: ScepIdentity,
  { challenge, serialNumber, commonName = 'scep', uris = [] }: RequestNames,
): DerValue {
  const names = [
    setOf(sequence(objectIdentifier(id.commonName), utf8String(commonName))),
    ...(serialNumber === undefined
      ? []
      : [setOf(sequence(objectIdentifier(id.serialNumber), printableString(serialNumber)))]),
  ];
  const altNames = sequence(...uris.map((uri) => der(0x86, Buffer.from(uri))));
  const extension = sequence(objectIdentifier(id.subjectAltName), octetString(altNames));
  const attributes = [
    ...(challenge === undefined
      ? []
      : [sequence(objectIdentifier(id.challengePassword), setOf(utf8String(challenge)))]),
    ...(uris.length === 0
      ? []
      : [sequence(objectIdentifier(id.extensionRequest), setOf(sequence(extension)))]),
  ].toSorted((one, other) => Buffer.compare(one, other));
  const info = sequence(
    smallInteger(0),
    sequence(...names),
    spkiOf(publicKey),
    der(0xa0, ...attributes),
  );
  return signedBy(privateKey, info);
}

/** Issuer and serial number of a certificate, as CMS names it. */
function issuerAndSerial(certificate: Uint8Array): DerValue {
  const [tbs] = readMembers(readElement(certificate).content);
  const members = readMembers(tbs?.content ?? certificate);
  const [serial, , issuer] = members[0]?.tag === 0xa0 ? members.slice(1) : members;
  if (serial === undefined || issuer === undefined) throw new Error('not a certificate');
  return sequence(issuer.element, serial.element);
}

const contentInfo = (type: string, content: Uint8Array) =>
  sequence(objectIdentifier(type), der(0xa0, content));

/** EnvelopedData for the registration authority. */
export function makeEnvelope(
  recipient: Uint8Array,
  content: Uint8Array,
  options: Pick<MessageOptions, 'cipher' | 'encryptedKey' | 'ber'> = {},
): DerValue {
  const { cipher = 'aes-256-cbc', ber = false } = options;
  const { id: algorithm, keyBytes, blockBytes } = ciphers[cipher];
  const key = randomBytes(keyBytes);
  const vector = randomBytes(blockBytes);
  const encryption = createCipheriv(cipher, key, vector);
  const encrypted = Buffer.concat([encryption.update(content), encryption.final()]);
  const encryptedKey =
    options.encryptedKey ??
    publicEncrypt(
      {
        key: new X509Certificate(recipient).publicKey,
        padding: constants.RSA_PKCS1_PADDING,
      },
      key,
    );
  const recipientInfo = sequence(
    smallInteger(0),
    issuerAndSerial(recipient),
    sequence(objectIdentifier(id.rsaEncryption), nothing()),
    octetString(encryptedKey),
  );
  const algorithmIdentifier = sequence(objectIdentifier(algorithm), octetString(vector));
  if (!ber) {
    const encryptedContent = sequence(
      objectIdentifier(id.data),
      algorithmIdentifier,
      der(0x80, encrypted),
    );
    const enveloped = sequence(smallInteger(0), setOf(recipientInfo), encryptedContent);
    return contentInfo(id.envelopedData, enveloped);
  }
  const pieces = [octetString(encrypted.subarray(0, 100)), octetString(encrypted.subarray(100))];
  const encryptedContent = indefinite(
    0x30,
    objectIdentifier(id.data),
    algorithmIdentifier,
    indefinite(0xa0, ...pieces),
  );
  const enveloped = indefinite(0x30, smallInteger(0), setOf(recipientInfo), encryptedContent);
  return indefinite(0x30, objectIdentifier(id.envelopedData), indefinite(0xa0, enveloped));
}

/** A pkiMessage around a request, or around whatever `options` say. */
export function makePkiMessage(
  identity: ScepIdentity,
  recipient: Uint8Array,
  csr: Uint8Array,
  options: MessageOptions = {},
): DerValue {
  const { messageType = '19', digest = 'sha256', signer = identity, ber = false } = options;
  const content = options.envelope ?? makeEnvelope(recipient, options.content ?? csr, options);
  const transactionId =
    options.transactionId ?? createHash('sha256').update(spkiOf(identity.publicKey)).digest('hex');
  const attribute = (type: string, value: Uint8Array) =>
    sequence(objectIdentifier(type), setOf(value));
  const attributes = setOf(
    attribute(id.contentType, objectIdentifier(id.data)),
    attribute(id.messageDigest, octetString(createHash(digest).update(content).digest())),
    attribute(id.messageType, printableString(messageType)),
    attribute(id.transactionId, printableString(transactionId)),
    attribute(id.senderNonce, octetString(randomBytes(16))),
  );
  const digestAlgorithm = sequence(objectIdentifier(digestIds[digest]), nothing());
  const signerInfo = sequence(
    smallInteger(1),
    issuerAndSerial(signer.certificate),
    digestAlgorithm,
    der(0xa0, readElement(attributes).content),
    sequence(objectIdentifier(id.rsaEncryption), nothing()),
    octetString(sign(digest, attributes, signer.privateKey)),
  );
  const parts = [
    smallInteger(1),
    setOf(digestAlgorithm),
    ber
      ? indefinite(
          0x30,
          objectIdentifier(id.data),
          indefinite(
            0xa0,
            indefinite(
              0x24,
              octetString(content.subarray(0, 50)),
              octetString(content.subarray(50)),
            ),
          ),
        )
      : sequence(objectIdentifier(id.data), der(0xa0, octetString(content))),
    der(0xa0, signer.certificate),
    setOf(signerInfo),
  ];
  return ber
    ? indefinite(
        0x30,
        objectIdentifier(id.signedData),
        indefinite(0xa0, indefinite(0x30, ...parts)),
      )
    : contentInfo(id.signedData, sequence(...parts));
}

export type ScepAnswer = {
  /** `0` is success, `2` failure. */
  readonly status: string;
  readonly failInfo: string | undefined;
  readonly failInfoText: string | undefined;
  readonly transactionId: string;
  readonly recipientNonce: Uint8Array | undefined;
  /** DER. */
  readonly certificate: Uint8Array<ArrayBuffer> | undefined;
  /** Of the registration authority, DER. */
  readonly signer: Uint8Array<ArrayBuffer>;
};

/** Reads a CertRep and verifies that the key of the certificate in it has signed it. */
export function openCertRep(message: Uint8Array, identity: ScepIdentity): ScepAnswer {
  const [, explicit] = readMembers(readElement(message).content);
  const [signedData] = readMembers(explicit?.content ?? message);
  const [, , encapsulated, certificates, signerInfos] = readMembers(signedData?.content ?? message);
  const [signerInfo] = readMembers(signerInfos?.content ?? message);
  const [, , , attributes, , signature] = readMembers(signerInfo?.content ?? message);
  if (certificates === undefined || attributes === undefined || signature === undefined) {
    throw new Error('not a CertRep');
  }
  const signer = Uint8Array.from(certificates.content);
  const statement = Uint8Array.from(attributes.element);
  statement[0] = 0x31;
  if (!verify('sha256', statement, new X509Certificate(signer).publicKey, signature.content)) {
    throw new Error('the signature of the CertRep does not verify');
  }
  const values = new Map(
    readMembers(attributes.content).map(({ content }) => {
      const [type, set] = readMembers(content);
      const value = readElement(set?.content ?? new Uint8Array()).content;
      return [Buffer.from(type?.element ?? []).toString('hex'), value] as const;
    }),
  );
  const value = (type: string) => values.get(Buffer.from(objectIdentifier(type)).toString('hex'));
  const text = (type: string) => {
    const octets = value(type);
    return octets === undefined ? undefined : Buffer.from(octets).toString('utf8');
  };
  const [, content] = readMembers(encapsulated?.content ?? message);
  const octets = content === undefined ? new Uint8Array() : readElement(content.content).content;
  const digest = createHash('sha256').update(octets).digest();
  if (!digest.equals(value(id.messageDigest) ?? new Uint8Array())) {
    throw new Error('the digest in the CertRep is of another content');
  }
  return {
    status: text(id.pkiStatus) ?? '',
    failInfo: text(id.failInfo),
    failInfoText: text(id.failInfoText),
    transactionId: text(id.transactionId) ?? '',
    recipientNonce: value(id.recipientNonce),
    certificate: octets.length === 0 ? undefined : openIssued(octets, identity),
    signer,
  };
}

/** The one certificate in an envelope for this client. */
function openIssued(envelope: Uint8Array, { privateKey }: ScepIdentity): Uint8Array<ArrayBuffer> {
  const [, explicit] = readMembers(readElement(envelope).content);
  const [enveloped] = readMembers(explicit?.content ?? envelope);
  const [, recipients, encrypted] = readMembers(enveloped?.content ?? envelope);
  const [recipient] = readMembers(recipients?.content ?? envelope);
  const encryptedKey = readMembers(recipient?.content ?? envelope)[3]?.content ?? envelope;
  const [, algorithm, content] = readMembers(encrypted?.content ?? envelope);
  const vector = readMembers(algorithm?.content ?? envelope)[1]?.content ?? envelope;
  // RFC 5652 section 6.3: the length of the key names the cipher that it is for.
  const key = privateDecrypt(
    { key: privateKey, padding: constants.RSA_PKCS1_PADDING },
    encryptedKey,
  );
  const cipher = createDecipheriv(`aes-${key.length * 8}-cbc`, key, vector);
  const degenerate = Buffer.concat([cipher.update(content?.content ?? envelope), cipher.final()]);
  const [, inner] = readMembers(readElement(degenerate).content);
  const [signedData] = readMembers(inner?.content ?? degenerate);
  const certificates = readMembers(signedData?.content ?? degenerate)[3];
  return Uint8Array.from(readElement(certificates?.content ?? degenerate).element);
}
