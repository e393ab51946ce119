import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import {
  type Attribute,
  type Cryptoki,
  CryptokiError,
  type Handle,
} from '../keystore/pkcs11/cryptoki.ts';
import { CKA, CKF, CKM, CKO, CKR } from '../keystore/pkcs11/cryptoki-values.ts';

type FakeObject = Map<number, Uint8Array> & { privateKey?: KeyObject };

const slot = 7n;

/**
 * A token in this process, with real keys, which can be made to behave as no token that is at hand does: PINs that are
 * locked or nearly so, missing mechanisms, keys that can be taken out, other spellings, and errors.
 */
export class FakeCryptoki implements Cryptoki {
  pin = '4711';
  flags: number = CKF.LOGIN_REQUIRED;
  serialNumber = 'serial';
  mechanisms = new Map<number, number>([
    [CKM.ECDSA, CKF.SIGN],
    [CKM.EC_KEY_PAIR_GEN, CKF.GENERATE_KEY_PAIR],
  ]);
  /** Gives the point without the OCTET STRING around it. */
  givesRawPoints = false;
  /** Makes keys that can be taken out, whatever is asked of it. */
  makesExtractableKeys = false;
  /** What the next calls of a function answer instead, by the function's name. */
  readonly failures = new Map<string, number[]>();
  /** Every call, by name. */
  readonly calls: string[] = [];
  readonly #objects = new Map<Handle, FakeObject>();
  #nextHandle = 1n;

  #called(name: string): void {
    this.calls.push(name);
    const answer = this.failures.get(name)?.shift();
    if (answer !== undefined) throw new CryptokiError(name, answer);
  }

  initialize(): void {
    this.#called('C_Initialize');
  }

  finalize(): void {
    this.#called('C_Finalize');
  }

  listSlots(): Handle[] {
    this.#called('C_GetSlotList');
    return [slot];
  }

  readTokenInfo() {
    this.#called('C_GetTokenInfo');
    return { label: 'Fake', serialNumber: this.serialNumber, flags: this.flags };
  }

  readMechanismFlags(_: Handle, mechanism: number): number | undefined {
    return this.mechanisms.get(mechanism);
  }

  openSession(): Handle {
    this.#called('C_OpenSession');
    return 1n;
  }

  closeSession(): void {
    this.#called('C_CloseSession');
  }

  login(_: Handle, pin: Uint8Array): void {
    this.#called('C_Login');
    if (Buffer.from(pin).toString() !== this.pin) {
      throw new CryptokiError('C_Login', CKR.PIN_INCORRECT);
    }
  }

  findObjects(_: Handle, attributes: readonly Attribute[]): Handle[] {
    this.#called('C_FindObjects');
    return [...this.#objects]
      .filter(([, object]) =>
        attributes.every(([type, value]) => bytesOf(value).equals(object.get(type) ?? Buffer.of())),
      )
      .map(([handle]) => handle);
  }

  readAttribute(_: Handle, object: Handle, type: number): Uint8Array {
    this.#called('C_GetAttributeValue');
    const value = this.#objects.get(object)?.get(type);
    if (value === undefined) throw new CryptokiError('C_GetAttributeValue', 0x12);
    return value;
  }

  createObject(_: Handle, attributes: readonly Attribute[]): Handle {
    this.#called('C_CreateObject');
    return this.#add(attributes);
  }

  destroyObject(_: Handle, object: Handle): void {
    this.#called('C_DestroyObject');
    this.#objects.delete(object);
  }

  generateKeyPair(
    _session: Handle,
    _mechanism: number,
    publicAttributes: readonly Attribute[],
    privateAttributes: readonly Attribute[],
  ) {
    this.#called('C_GenerateKeyPair');
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const point = publicKey.export({ format: 'der', type: 'spki' }).subarray(-65);
    const value = this.givesRawPoints ? point : Buffer.concat([Buffer.of(4, 65), point]);
    const made = {
      publicKey: this.#add([
        ...publicAttributes,
        [CKA.CLASS, CKO.PUBLIC_KEY],
        [CKA.EC_POINT, value],
      ]),
      privateKey: this.#add([...privateAttributes, [CKA.CLASS, CKO.PRIVATE_KEY]], privateKey),
    };
    if (this.makesExtractableKeys) {
      this.#objects.get(made.privateKey)?.set(CKA.EXTRACTABLE, Buffer.of(1));
    }
    return made;
  }

  sign(_: Handle, _mechanism: number, key: Handle, hash: Uint8Array): Uint8Array {
    this.#called('C_Sign');
    const privateKey = this.#objects.get(key)?.privateKey;
    if (privateKey === undefined) throw new CryptokiError('C_Sign', 0x60);
    // No signature of this hash, which Node cannot sign without hashing it once more: only its form matters here.
    return sign('sha256', hash, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  }

  get objectCount(): number {
    return this.#objects.size;
  }

  #add(attributes: readonly Attribute[], privateKey?: KeyObject): Handle {
    const object: FakeObject = new Map(
      attributes.map(([type, value]) => [type as number, bytesOf(value)]),
    );
    if (privateKey !== undefined) object.privateKey = privateKey;
    const handle = this.#nextHandle++;
    this.#objects.set(handle, object);
    return handle;
  }
}

function bytesOf(value: Attribute[1]): Buffer {
  if (typeof value === 'number') return Buffer.of(value, 0, 0, 0, 0, 0, 0, 0);
  return typeof value === 'boolean' ? Buffer.of(value ? 1 : 0) : Buffer.from(value);
}
