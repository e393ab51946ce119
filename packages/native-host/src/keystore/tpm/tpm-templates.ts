import { sized, uint16, uint32 } from './tpm-bytes.ts';

/** Public areas (TPMT_PUBLIC; TPM 2.0 Library, part 2 section 12.2.4) of the keys that the host makes or asks for. */

/** TPM_ALG_ID, TPM_ECC_CURVE. */
export const algorithm = {
  rsa: 0x0001,
  aes: 0x0006,
  sha256: 0x000b,
  sha384: 0x000c,
  null: 0x0010,
  ecdsa: 0x0018,
  ecc: 0x0023,
  cfb: 0x0043,
} as const;
const curve = { p256: 0x0003, p384: 0x0004 } as const;

/** TPMA_OBJECT. */
const fixedTpm = 1 << 1;
const fixedParent = 1 << 4;
const sensitiveDataOrigin = 1 << 5;
const userWithAuth = 1 << 6;
const adminWithPolicy = 1 << 7;
/** Nobody can lock the key by guessing: it has no password. */
const noDictionaryAttackProtection = 1 << 10;
const restricted = 1 << 16;
const decrypt = 1 << 17;
const sign = 1 << 18;

const madeHereForGood = fixedTpm | fixedParent | sensitiveDataOrigin;
const withoutPassword = userWithAuth | noDictionaryAttackProtection;

const none = uint16(algorithm.null);
const noPolicy = sized();
const ecdsaWithSha256 = Buffer.concat([uint16(algorithm.ecdsa), uint16(algorithm.sha256)]);
const aesCfb = (bits: 128 | 256) =>
  Buffer.concat([uint16(algorithm.aes), uint16(bits), uint16(algorithm.cfb)]);

/** Left empty, the TPM fills it in. */
const anyPoint = Buffer.concat([sized(), sized()]);

function eccKey(
  attributes: number,
  { symmetric = none, scheme = none }: { symmetric?: Buffer; scheme?: Buffer },
): Buffer {
  return Buffer.concat([
    uint16(algorithm.ecc),
    uint16(algorithm.sha256),
    uint32(attributes),
    noPolicy,
    symmetric,
    scheme,
    uint16(curve.p256),
    none,
    anyPoint,
  ]);
}

/** Under which the others are made. The same template gives the same key each time: it need not be kept. */
export const storageKey = eccKey(madeHereForGood | withoutPassword | restricted | decrypt, {
  symmetric: aesCfb(128),
});

/** ECDSA on P-256 with SHA-256. */
export const deviceKey = eccKey(madeHereForGood | withoutPassword | sign, {
  scheme: ecdsaWithSha256,
});

/** Signs nothing but what the TPM itself has made. */
export const attestationKey = eccKey(madeHereForGood | withoutPassword | restricted | sign, {
  scheme: ecdsaWithSha256,
});

export type EndorsementTemplate = {
  /** Where the TPM's maker puts the certificate. */
  readonly certificateIndex: number;
  /** TPMT_PUBLIC. */
  readonly publicArea: Buffer;
  /** Whether the key is used under the policy of the endorsement hierarchy, or without one. */
  readonly usesPolicy: boolean;
};

/** PolicyA: TPM2_PolicySecret(TPM_RH_ENDORSEMENT). */
const policyA = Buffer.from(
  '837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa',
  'hex',
);
/** PolicyB: PolicyA, or what an administrator has put into the TPM. */
const policyB256 = Buffer.from(
  'ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0',
  'hex',
);
const policyB384 = Buffer.from(
  'b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12',
  'hex',
);

const lowRange = madeHereForGood | adminWithPolicy | restricted | decrypt;
const highRange = lowRange | userWithAuth;

const endorsementKey = (
  type: number,
  nameHash: number,
  attributes: number,
  policy: Buffer,
  ...rest: readonly Buffer[]
) =>
  Buffer.concat([
    uint16(type),
    uint16(nameHash),
    uint32(attributes),
    sized(policy),
    aesCfb(nameHash === algorithm.sha384 ? 256 : 128),
    none,
    ...rest,
  ]);

const rsa2048 = (unique: Buffer) => [uint16(2048), uint32(0), sized(unique)];
const ecc = (id: number, ...unique: readonly Buffer[]) => [uint16(id), none, ...unique];
const zeros = (count: number) => Buffer.alloc(count);

/**
 * The endorsement keys of the TCG EK Credential Profile for TPM 2.0, annex B.3 and B.4, fastest first: L-2, H-2, H-3,
 * L-1, H-1.
 */
export const endorsementTemplates: readonly EndorsementTemplate[] = [
  {
    certificateIndex: 0x01c0000a,
    publicArea: endorsementKey(
      algorithm.ecc,
      algorithm.sha256,
      lowRange,
      policyA,
      ...ecc(curve.p256, sized(zeros(32)), sized(zeros(32))),
    ),
    usesPolicy: true,
  },
  {
    certificateIndex: 0x01c00014,
    publicArea: endorsementKey(
      algorithm.ecc,
      algorithm.sha256,
      highRange,
      policyB256,
      ...ecc(curve.p256, anyPoint),
    ),
    usesPolicy: false,
  },
  {
    certificateIndex: 0x01c00016,
    publicArea: endorsementKey(
      algorithm.ecc,
      algorithm.sha384,
      highRange,
      policyB384,
      ...ecc(curve.p384, anyPoint),
    ),
    usesPolicy: false,
  },
  {
    certificateIndex: 0x01c00002,
    publicArea: endorsementKey(
      algorithm.rsa,
      algorithm.sha256,
      lowRange,
      policyA,
      ...rsa2048(zeros(256)),
    ),
    usesPolicy: true,
  },
  {
    certificateIndex: 0x01c00012,
    publicArea: endorsementKey(
      algorithm.rsa,
      algorithm.sha256,
      highRange,
      policyB256,
      ...rsa2048(zeros(0)),
    ),
    usesPolicy: false,
  },
];
