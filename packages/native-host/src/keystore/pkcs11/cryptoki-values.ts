/** Values of PKCS#11 version 2.40 (OASIS Cryptographic Token Interface Base Specification), by the names they have there. */

export const CKR = {
  OK: 0x000,
  GENERAL_ERROR: 0x005,
  FUNCTION_FAILED: 0x006,
  DEVICE_REMOVED: 0x032,
  MECHANISM_INVALID: 0x070,
  OBJECT_HANDLE_INVALID: 0x082,
  PIN_INCORRECT: 0x0a0,
  PIN_INVALID: 0x0a1,
  PIN_LEN_RANGE: 0x0a2,
  PIN_EXPIRED: 0x0a3,
  PIN_LOCKED: 0x0a4,
  SESSION_READ_ONLY: 0x0b5,
  TOKEN_NOT_PRESENT: 0x0e0,
  TOKEN_NOT_RECOGNIZED: 0x0e1,
  TOKEN_WRITE_PROTECTED: 0x0e2,
  USER_ALREADY_LOGGED_IN: 0x100,
  USER_PIN_NOT_INITIALIZED: 0x102,
  CRYPTOKI_ALREADY_INITIALIZED: 0x191,
} as const;

/** Further answers of modules, for messages alone. */
const otherAnswers: Readonly<Record<number, string>> = {
  2: 'CKR_HOST_MEMORY',
  5: 'CKR_GENERAL_ERROR',
  6: 'CKR_FUNCTION_FAILED',
  7: 'CKR_ARGUMENTS_BAD',
  16: 'CKR_ATTRIBUTE_READ_ONLY',
  17: 'CKR_ATTRIBUTE_SENSITIVE',
  18: 'CKR_ATTRIBUTE_TYPE_INVALID',
  19: 'CKR_ATTRIBUTE_VALUE_INVALID',
  27: 'CKR_ACTION_PROHIBITED',
  48: 'CKR_DEVICE_ERROR',
  49: 'CKR_DEVICE_MEMORY',
  84: 'CKR_FUNCTION_NOT_SUPPORTED',
  96: 'CKR_KEY_HANDLE_INVALID',
  99: 'CKR_KEY_TYPE_INCONSISTENT',
  104: 'CKR_KEY_FUNCTION_NOT_PERMITTED',
  179: 'CKR_SESSION_HANDLE_INVALID',
  208: 'CKR_TEMPLATE_INCOMPLETE',
  209: 'CKR_TEMPLATE_INCONSISTENT',
  257: 'CKR_USER_NOT_LOGGED_IN',
  304: 'CKR_DOMAIN_PARAMS_INVALID',
  320: 'CKR_CURVE_NOT_SUPPORTED',
  400: 'CKR_CRYPTOKI_NOT_INITIALIZED',
};

/** `CKR_DEVICE_ERROR (0x30)`; just the number of an answer that has no name here. */
export function nameOfAnswer(returnValue: number): string {
  const known = Object.entries(CKR).find(([, value]) => value === returnValue);
  const name = known === undefined ? otherAnswers[returnValue] : `CKR_${known[0]}`;
  const number = `0x${returnValue.toString(16)}`;
  return name === undefined ? number : `${name} (${number})`;
}

/** Classes of objects. */
export const CKO = { CERTIFICATE: 1, PUBLIC_KEY: 2, PRIVATE_KEY: 3 } as const;
export type ObjectClass = (typeof CKO)[keyof typeof CKO];

/** Types of attributes. */
export const CKA = {
  CLASS: 0x000,
  TOKEN: 0x001,
  PRIVATE: 0x002,
  LABEL: 0x003,
  VALUE: 0x011,
  CERTIFICATE_TYPE: 0x080,
  ISSUER: 0x081,
  SERIAL_NUMBER: 0x082,
  KEY_TYPE: 0x100,
  SUBJECT: 0x101,
  ID: 0x102,
  SENSITIVE: 0x103,
  SIGN: 0x108,
  VERIFY: 0x10a,
  EXTRACTABLE: 0x162,
  EC_PARAMS: 0x180,
  EC_POINT: 0x181,
} as const;
export type AttributeType = (typeof CKA)[keyof typeof CKA];

/** Type of a certificate: X.509. */
export const CKC_X_509 = 0;

/** Mechanisms: `ECDSA` signs a hash and gives r and s side by side. */
export const CKM = { EC_KEY_PAIR_GEN: 0x1040, ECDSA: 0x1041 } as const;
export type Mechanism = (typeof CKM)[keyof typeof CKM];

/** Flags of a mechanism, a session and a token. */
export const CKF = {
  SIGN: 0x800,
  GENERATE_KEY_PAIR: 0x1_0000,
  RW_SESSION: 0x2,
  SERIAL_SESSION: 0x4,
  WRITE_PROTECTED: 0x2,
  LOGIN_REQUIRED: 0x4,
  USER_PIN_FINAL_TRY: 0x2_0000,
  USER_PIN_LOCKED: 0x4_0000,
} as const;

export const CKU_USER = 1;
