/** Numbers of the TPM 2.0 Library, part 2, as far as they are used here. */

/** TPM_ALG_ID (section 6.3). */
export const algorithm = {
  rsa: 0x0001,
  aes: 0x0006,
  sha256: 0x000b,
  sha384: 0x000c,
  null: 0x0010,
  rsassa: 0x0014,
  rsaes: 0x0015,
  rsapss: 0x0016,
  oaep: 0x0017,
  ecdsa: 0x0018,
  ecdh: 0x0019,
  ecdaa: 0x001a,
  sm2: 0x001b,
  ecschnorr: 0x001c,
  ecc: 0x0023,
  cfb: 0x0043,
} as const;

/** TPM_ECC_CURVE (section 6.4). */
export const curve = { p256: 0x0003, p384: 0x0004 } as const;

/** TPMA_OBJECT (section 8.3). */
export const attribute = {
  fixedTpm: 1 << 1,
  stClear: 1 << 2,
  fixedParent: 1 << 4,
  sensitiveDataOrigin: 1 << 5,
  userWithAuth: 1 << 6,
  adminWithPolicy: 1 << 7,
  noDictionaryAttackProtection: 1 << 10,
  encryptedDuplication: 1 << 11,
  restricted: 1 << 16,
  decrypt: 1 << 17,
  sign: 1 << 18,
  x509Sign: 1 << 19,
} as const;
export type Attribute = keyof typeof attribute;

/** Bits without a meaning must be clear. */
export const knownAttributes = Object.values(attribute).reduce((all, bit) => all | bit, 0);

/** TPM_GENERATED_VALUE (section 6.2): begins whatever a TPM has made itself, and nothing else that it signs. */
export const generatedValue = 0xff544347;
/** TPM_ST_ATTEST_CERTIFY (section 6.9). */
export const attestCertify = 0x8017;
