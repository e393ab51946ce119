import { existsSync } from 'node:fs';
import type { TypeObject } from 'koffi';
import { fail, type Result, succeed } from '../../result.ts';
import { CMemory, type Koffi } from './c-memory.ts';
import { type Attribute, type Cryptoki, CryptokiError, type Handle } from './cryptoki.ts';
import { CKF, CKR, CKU_USER } from './cryptoki-values.ts';

/** Places in CK_FUNCTION_LIST, behind the version. */
const functionPlaces = {
  C_Initialize: 0,
  C_Finalize: 1,
  C_GetSlotList: 4,
  C_GetTokenInfo: 6,
  C_GetMechanismInfo: 8,
  C_OpenSession: 12,
  C_CloseSession: 13,
  C_Login: 18,
  C_CreateObject: 20,
  C_DestroyObject: 22,
  C_GetAttributeValue: 24,
  C_FindObjectsInit: 26,
  C_FindObjects: 27,
  C_FindObjectsFinal: 28,
  C_SignInit: 42,
  C_Sign: 43,
  C_GenerateKeyPair: 59,
} as const;
type FunctionName = keyof typeof functionPlaces;

/** What a call passes: a CK_ULONG, or memory (`null` for none) whose address the module gets. */
type Argument = bigint | Uint8Array | null;

const isWindows = process.platform === 'win32';
const maxObjectsAtOnce = 16;
/** A P-256 signature has 64 bytes; the module may ask for room for the largest one that the mechanism gives. */
const maxSignatureBytes = 512;
/** More than any attribute that is read here has. */
const maxAttributeBytes = 64 * 1024;

/**
 * Loads a PKCS#11 module, in-process, through koffi, which is itself loaded only now: most hosts need neither. Its
 * functions are found as the standard says, by C_GetFunctionList. Arguments are laid out by hand, as a C compiler for
 * this machine lays them out; on Windows PKCS#11 packs its structures.
 */
export async function loadCryptoki(
  path: string,
): Promise<Result<Cryptoki, 'keystore_module_missing' | 'keystore_module_invalid'>> {
  if (!existsSync(path)) {
    return fail('keystore_module_missing', `keystore.module: ${path} does not exist`);
  }
  let koffi: Koffi;
  try {
    koffi = (await import('koffi')).default;
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : 'an unknown error';
    return fail('keystore_module_invalid', `keystore.module: koffi cannot be loaded: ${why}`);
  }
  try {
    return succeed(bindCryptoki(koffi, path));
  } catch (error) {
    const why = error instanceof Error ? error.message : 'an unknown error';
    return fail('keystore_module_invalid', `keystore.module: ${path}: ${why}`);
  }
}

function bindCryptoki(koffi: Koffi, path: string): Cryptoki {
  // The module gets the OpenSSL that it was built with, not the one inside of Node, where the system can tell them apart.
  const library = koffi.load(path, { deep: process.platform === 'linux' });
  const memory = new CMemory(koffi);
  const functionList = memory.pointers(1);
  const answer = library.func('C_GetFunctionList', 'ulong', ['void *'])(functionList);
  if (answer !== CKR.OK) throw new CryptokiError('C_GetFunctionList', answer);
  const list = koffi.decode(functionList, 'void *');
  // CK_VERSION has two bytes; what follows is aligned, where structures are not packed.
  const first = isWindows ? 2 : memory.pointerBytes;
  const signatures = new Map<string, TypeObject>();

  /** The C function of this name, with arguments of the kinds that are given. */
  const call = (name: FunctionName, ...values: readonly Argument[]): number => {
    const kinds = values.map((value) => (typeof value === 'bigint' ? 'ulong' : 'void *'));
    const signature = signatures.get(kinds.join()) ?? koffi.proto('ulong', kinds);
    signatures.set(kinds.join(), signature);
    const place = first + functionPlaces[name] * memory.pointerBytes;
    return Number(koffi.call(koffi.decode(list, place, 'void *'), signature, ...values));
  };
  return new LoadedCryptoki(call, memory);
}

class LoadedCryptoki implements Cryptoki {
  readonly #callFunction: (name: FunctionName, ...values: readonly Argument[]) => number;
  readonly #memory: CMemory;
  /** What templates point to. */
  #kept: Buffer[] = [];

  constructor(
    callFunction: (name: FunctionName, ...values: readonly Argument[]) => number,
    memory: CMemory,
  ) {
    this.#callFunction = callFunction;
    this.#memory = memory;
  }

  #call(name: FunctionName, ...values: readonly Argument[]): void {
    const answer = this.#callFunction(name, ...values);
    if (answer !== CKR.OK) throw new CryptokiError(name, answer);
  }

  initialize(): void {
    this.#kept = [];
    const answer = this.#callFunction('C_Initialize', null);
    if (answer !== CKR.OK && answer !== CKR.CRYPTOKI_ALREADY_INITIALIZED) {
      throw new CryptokiError('C_Initialize', answer);
    }
  }

  finalize(): void {
    this.#call('C_Finalize', null);
  }

  listSlots(): Handle[] {
    const withToken = 1n;
    const count = this.#memory.ulongs(1);
    this.#call('C_GetSlotList', withToken, null, count);
    const slots = this.#memory.ulongs(Number(this.#memory.readUlong(count)));
    if (slots.length === 0) return [];
    this.#call('C_GetSlotList', withToken, slots, count);
    return this.#readHandles(slots, Number(this.#memory.readUlong(count)));
  }

  readTokenInfo(slot: Handle) {
    // CK_TOKEN_INFO: label, manufacturer, model, serial number, flags, then what is not looked at, 60 bytes and more.
    const info = Buffer.alloc(512);
    this.#call('C_GetTokenInfo', slot, info);
    return {
      label: info.toString('utf8', 0, 32).trimEnd(),
      serialNumber: info.toString('utf8', 80, 96).trimEnd(),
      flags: Number(this.#memory.readUlong(info.subarray(96))),
    };
  }

  readMechanismFlags(slot: Handle, mechanism: number): number | undefined {
    // CK_MECHANISM_INFO: smallest key, largest key, flags.
    const info = this.#memory.ulongs(3);
    const answer = this.#callFunction('C_GetMechanismInfo', slot, BigInt(mechanism), info);
    if (answer === CKR.MECHANISM_INVALID) return undefined;
    if (answer !== CKR.OK) throw new CryptokiError('C_GetMechanismInfo', answer);
    return Number(this.#memory.readUlong(info, 2));
  }

  openSession(slot: Handle, mayWrite: boolean): Handle {
    const flags = BigInt(CKF.SERIAL_SESSION | (mayWrite ? CKF.RW_SESSION : 0));
    const session = this.#memory.ulongs(1);
    this.#call('C_OpenSession', slot, flags, null, null, session);
    return this.#memory.readUlong(session);
  }

  closeSession(session: Handle): void {
    this.#call('C_CloseSession', session);
  }

  login(session: Handle, pin: Uint8Array): void {
    this.#call('C_Login', session, BigInt(CKU_USER), pin, BigInt(pin.length));
  }

  findObjects(session: Handle, attributes: readonly Attribute[]): Handle[] {
    this.#call('C_FindObjectsInit', session, this.#template(attributes), BigInt(attributes.length));
    try {
      const found: Handle[] = [];
      const handles = this.#memory.ulongs(maxObjectsAtOnce);
      const count = this.#memory.ulongs(1);
      do {
        this.#call('C_FindObjects', session, handles, BigInt(maxObjectsAtOnce), count);
        found.push(...this.#readHandles(handles, Number(this.#memory.readUlong(count))));
      } while (this.#memory.readUlong(count) > 0n);
      return found;
    } finally {
      this.#callFunction('C_FindObjectsFinal', session);
    }
  }

  readAttribute(session: Handle, object: Handle, type: number): Uint8Array {
    const length = this.#memory.triples([[type, null]]);
    this.#call('C_GetAttributeValue', session, object, length, 1n);
    const bytes = Number(this.#memory.readTripleLength(length));
    if (bytes === 0) return new Uint8Array();
    // CK_UNAVAILABLE_INFORMATION, which goes with an answer that is not CKR_OK, would be far larger.
    if (bytes > maxAttributeBytes) throw new RangeError(`an attribute of ${bytes} bytes`);
    const value = Buffer.alloc(bytes);
    const template = this.#memory.triples([[type, value]]);
    this.#call('C_GetAttributeValue', session, object, template, 1n);
    return value.subarray(0, Number(this.#memory.readTripleLength(template)));
  }

  createObject(session: Handle, attributes: readonly Attribute[]): Handle {
    const object = this.#memory.ulongs(1);
    const count = BigInt(attributes.length);
    this.#call('C_CreateObject', session, this.#template(attributes), count, object);
    return this.#memory.readUlong(object);
  }

  destroyObject(session: Handle, object: Handle): void {
    this.#call('C_DestroyObject', session, object);
  }

  generateKeyPair(
    session: Handle,
    mechanism: number,
    publicAttributes: readonly Attribute[],
    privateAttributes: readonly Attribute[],
  ) {
    const [publicKey, privateKey] = [this.#memory.ulongs(1), this.#memory.ulongs(1)];
    this.#call(
      'C_GenerateKeyPair',
      session,
      this.#memory.triples([[mechanism, null]]),
      this.#template(publicAttributes),
      BigInt(publicAttributes.length),
      this.#template(privateAttributes),
      BigInt(privateAttributes.length),
      publicKey,
      privateKey,
    );
    return {
      publicKey: this.#memory.readUlong(publicKey),
      privateKey: this.#memory.readUlong(privateKey),
    };
  }

  sign(session: Handle, mechanism: number, key: Handle, data: Uint8Array): Uint8Array {
    this.#call('C_SignInit', session, this.#memory.triples([[mechanism, null]]), key);
    const signature = Buffer.alloc(maxSignatureBytes);
    const length = this.#memory.ulong(signature.length);
    this.#call('C_Sign', session, data, BigInt(data.length), signature, length);
    return signature.subarray(0, Number(this.#memory.readUlong(length)));
  }

  #template(attributes: readonly Attribute[]): Buffer {
    const values = attributes.map(([type, value]) => [type, this.#bytesOf(value)] as const);
    this.#kept.push(...values.map(([, bytes]) => bytes));
    return this.#memory.triples(values);
  }

  #bytesOf(value: Attribute[1]): Buffer {
    if (typeof value === 'number') return this.#memory.ulong(value);
    if (typeof value === 'boolean') return Buffer.from([value ? 1 : 0]);
    return Buffer.from(value);
  }

  #readHandles(bytes: Uint8Array, count: number): Handle[] {
    return Array.from({ length: count }, (_, index) => this.#memory.readUlong(bytes, index));
  }
}
