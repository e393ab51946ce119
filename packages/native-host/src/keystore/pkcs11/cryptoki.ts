import { type AttributeType, type Mechanism, nameOfAnswer } from './cryptoki-values.ts';

/** Slots, sessions and objects, as the module numbers them. */
export type Handle = bigint;

/** A number stands for a CK_ULONG, a boolean for a CK_BBOOL. */
export type Attribute = readonly [type: AttributeType, value: Uint8Array | number | boolean];

export type TokenInfo = {
  /** Without the spaces that fill it up. */
  readonly label: string;
  readonly serialNumber: string;
  /** `CKF` bits. */
  readonly flags: number;
};

/** A call that the module answered with something other than CKR_OK. */
export class CryptokiError extends Error {
  readonly returnValue: number;

  constructor(functionName: string, returnValue: number) {
    super(`${functionName} answered ${nameOfAnswer(returnValue)}`);
    this.returnValue = returnValue;
  }
}

/** The calls of a PKCS#11 module that a keystore needs. Each throws `CryptokiError`. */
export interface Cryptoki {
  initialize(): void;
  finalize(): void;
  /** The slots that have a token in them. */
  listSlots(): Handle[];
  readTokenInfo(slot: Handle): TokenInfo;
  /** `CKF` bits of what the token can do with it; `undefined` when it does not have it. */
  readMechanismFlags(slot: Handle, mechanism: Mechanism): number | undefined;
  openSession(slot: Handle, mayWrite: boolean): Handle;
  closeSession(session: Handle): void;
  /** As the user, not the security officer. */
  login(session: Handle, pin: Uint8Array): void;
  findObjects(session: Handle, attributes: readonly Attribute[]): Handle[];
  readAttribute(session: Handle, object: Handle, type: AttributeType): Uint8Array;
  createObject(session: Handle, attributes: readonly Attribute[]): Handle;
  destroyObject(session: Handle, object: Handle): void;
  generateKeyPair(
    session: Handle,
    mechanism: Mechanism,
    publicKey: readonly Attribute[],
    privateKey: readonly Attribute[],
  ): { readonly publicKey: Handle; readonly privateKey: Handle };
  sign(session: Handle, mechanism: Mechanism, key: Handle, data: Uint8Array): Uint8Array;
}
