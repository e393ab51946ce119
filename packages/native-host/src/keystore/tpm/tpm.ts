import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { sized, TpmBytesReader, uint16, uint32 } from './tpm-bytes.ts';
import {
  passingResponseCodes,
  plainResponseCode,
  refusedCommand,
  responseCodes,
  TpmError,
} from './tpm-error.ts';
import { algorithm } from './tpm-templates.ts';
import type { TpmTransport } from './tpm-transport.ts';

/** TPM_RH: owner and endorsement hierarchy, none, and the session of a password. */
export const hierarchy = { owner: 0x40000001, endorsement: 0x4000000b } as const;
const nothing = 0x40000007;
const passwordSession = 0x40000009;

const tag = { noSessions: 0x8001, sessions: 0x8002, hashCheck: 0x8024 } as const;
const continueSession = 1;
const policySession = 0x01;

/** TPM_CC and how long a TPM may take for it: one that makes an RSA key can need a minute. */
const commands = {
  NV_Read: { code: 0x014e, timeoutMs: 20_000 },
  CreatePrimary: { code: 0x0131, timeoutMs: 180_000 },
  ActivateCredential: { code: 0x0147, timeoutMs: 20_000 },
  Certify: { code: 0x0148, timeoutMs: 20_000 },
  PolicySecret: { code: 0x0151, timeoutMs: 20_000 },
  Create: { code: 0x0153, timeoutMs: 60_000 },
  Load: { code: 0x0157, timeoutMs: 20_000 },
  Sign: { code: 0x015d, timeoutMs: 20_000 },
  FlushContext: { code: 0x0165, timeoutMs: 20_000 },
  NV_ReadPublic: { code: 0x0169, timeoutMs: 20_000 },
  StartAuthSession: { code: 0x0176, timeoutMs: 20_000 },
} as const;
type CommandName = keyof typeof commands;

/** A key that is in the TPM until it is flushed. */
export type LoadedKey = {
  readonly handle: number;
  /** TPMT_PUBLIC. */
  readonly publicArea: Buffer;
};

/** A key outside of the TPM: the private part is encrypted, and opens in the TPM that made it alone. */
export type KeyBlob = {
  /** TPMT_PUBLIC. */
  readonly publicArea: Buffer;
  /** Content of TPM2B_PRIVATE. */
  readonly privatePart: Buffer;
};

type Call = {
  readonly handles?: readonly number[];
  /** Sessions that authorize the first handles, one each. */
  readonly sessions?: readonly number[];
  readonly parameters?: Buffer;
};

const attempts = 20;
const betweenAttemptsMs = 100;
const withoutPassword = sized();
/** Of every TPM that the PC Client profile allows. */
const nvChunkBytes = 512;
const maxNvBytes = 8192;

/** The commands of a TPM 2.0 that are used here (TPM 2.0 Library, part 3). All fail with a `TpmError`. */
export class Tpm {
  readonly #transport: TpmTransport;
  /** Keys and sessions that take up room in the TPM. */
  readonly #transient = new Set<number>();
  /** It did not answer, and would not do so again. */
  #isLost = false;

  constructor(transport: TpmTransport) {
    this.#transport = transport;
  }

  async createPrimary(under: number, template: Buffer): Promise<LoadedKey> {
    // No sensitive data, no outside information, no PCRs.
    const sensitive = sized(withoutPassword, sized());
    const parameters = Buffer.concat([sensitive, sized(template), sized(), uint32(0)]);
    const answer = await this.#loading('CreatePrimary', {
      handles: [under],
      sessions: [passwordSession],
      parameters,
    });
    return { handle: answer.handle, publicArea: answer.parameters.sized() };
  }

  async create(parent: LoadedKey, template: Buffer): Promise<KeyBlob> {
    const sensitive = sized(withoutPassword, sized());
    const answer = await this.#run('Create', {
      handles: [parent.handle],
      sessions: [passwordSession],
      parameters: Buffer.concat([sensitive, sized(template), sized(), uint32(0)]),
    });
    const parameters = parametersOf(answer);
    return { privatePart: parameters.sized(), publicArea: parameters.sized() };
  }

  async load(parent: LoadedKey, { publicArea, privatePart }: KeyBlob): Promise<LoadedKey> {
    const { handle } = await this.#loading('Load', {
      handles: [parent.handle],
      sessions: [passwordSession],
      parameters: Buffer.concat([sized(privatePart), sized(publicArea)]),
    });
    return { handle, publicArea };
  }

  /** TPMT_SIGNATURE over a SHA-256 digest, by the scheme of the key. */
  async sign(key: LoadedKey, digest: Uint8Array): Promise<Buffer> {
    const notFromHere = Buffer.concat([uint16(tag.hashCheck), uint32(nothing), sized()]);
    const answer = await this.#run('Sign', {
      handles: [key.handle],
      sessions: [passwordSession],
      parameters: Buffer.concat([sized(digest), uint16(algorithm.null), notFromHere]),
    });
    return parametersOf(answer).rest();
  }

  /** TPMS_ATTEST over `key`, and the TPMT_SIGNATURE of `attestationKey`. */
  async certify(key: LoadedKey, attestationKey: LoadedKey, qualifyingData: Uint8Array) {
    const answer = await this.#run('Certify', {
      handles: [key.handle, attestationKey.handle],
      sessions: [passwordSession, passwordSession],
      parameters: Buffer.concat([sized(qualifyingData), uint16(algorithm.null)]),
    });
    const parameters = parametersOf(answer);
    return { certifyInfo: parameters.sized(), signature: parameters.rest() };
  }

  /**
   * The secret of a credential that was made for these two keys.
   *
   * @param credential contents of TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET, each with its size
   */
  async activateCredential(
    attestationKey: LoadedKey,
    endorsementKey: LoadedKey,
    usesPolicy: boolean,
    credential: { readonly blob: Uint8Array; readonly encryptedSecret: Uint8Array },
  ): Promise<Buffer> {
    const session = usesPolicy ? await this.#startEndorsementPolicy() : passwordSession;
    const answer = await this.#run('ActivateCredential', {
      handles: [attestationKey.handle, endorsementKey.handle],
      sessions: [passwordSession, session],
      parameters: Buffer.concat([credential.blob, credential.encryptedSecret]),
    });
    return parametersOf(answer).sized();
  }

  async #startEndorsementPolicy(): Promise<number> {
    const { handle } = await this.#loading('StartAuthSession', {
      handles: [nothing, nothing],
      parameters: Buffer.concat([
        sized(randomBytes(16)),
        sized(),
        Buffer.from([policySession]),
        uint16(algorithm.null),
        uint16(algorithm.sha256),
      ]),
    });
    await this.#run('PolicySecret', {
      handles: [hierarchy.endorsement, handle],
      sessions: [passwordSession],
      parameters: Buffer.concat([sized(), sized(), sized(), uint32(0)]),
    });
    return handle;
  }

  /** What is stored at an index; `undefined` when there is no such index. */
  async readNv(index: number): Promise<Buffer | undefined> {
    const size = await this.#sizeOfNv(index);
    if (size === undefined) return undefined;
    const chunks: Buffer[] = [];
    for (let offset = 0; offset < size; offset += nvChunkBytes) {
      const answer = await this.#run('NV_Read', {
        handles: [index, index],
        sessions: [passwordSession],
        parameters: Buffer.concat([uint16(Math.min(nvChunkBytes, size - offset)), uint16(offset)]),
      });
      chunks.push(parametersOf(answer).sized());
    }
    return Buffer.concat(chunks);
  }

  async #sizeOfNv(index: number): Promise<number | undefined> {
    try {
      const answer = await this.#run('NV_ReadPublic', { handles: [index] });
      const area = new TpmBytesReader(answer.sized());
      // nvIndex, nameAlg, attributes, authPolicy
      area.take(4 + 2 + 4);
      area.sized();
      return Math.min(area.uint16(), maxNvBytes);
    } catch (error) {
      if (error instanceof TpmError && error.responseCode === responseCodes.handle)
        return undefined;
      throw error;
    }
  }

  async flush(key: LoadedKey): Promise<void> {
    await this.#flush(key.handle);
  }

  async #flush(handle: number): Promise<void> {
    this.#transient.delete(handle);
    await this.#run('FlushContext', { handles: [handle] });
  }

  /** Leaves nothing in the TPM, whatever was done before. */
  async flushAll(): Promise<void> {
    for (const handle of this.#transient) if (!this.#isLost) await this.#flush(handle);
  }

  async #loading(name: CommandName, call: Call) {
    const answer = await this.#run(name, call);
    const handle = answer.uint32();
    this.#transient.add(handle);
    return { handle, parameters: call.sessions === undefined ? answer : parametersOf(answer) };
  }

  async #exchange(command: Buffer, timeoutMs: number): Promise<Buffer> {
    try {
      return await this.#transport.exchange(command, timeoutMs);
    } catch (error) {
      this.#isLost = true;
      throw error;
    }
  }

  /** Sends the command, again while the TPM is busy with itself; gives what follows the header of the answer. */
  async #run(name: CommandName, call: Call): Promise<TpmBytesReader> {
    const { code, timeoutMs } = commands[name];
    const command = marshal(code, call);
    for (let attempt = 1; ; attempt++) {
      const answer = new TpmBytesReader(await this.#exchange(command, timeoutMs));
      // tag and size: the transport has looked at the size, and the tag follows from the command.
      answer.take(6);
      const responseCode = answer.uint32();
      if (responseCode === 0) return answer;
      const isPassing = passingResponseCodes.includes(plainResponseCode(responseCode));
      if (!isPassing || attempt === attempts) throw refusedCommand(name, responseCode);
      await wait(betweenAttemptsMs);
    }
  }
}

function marshal(code: number, { handles = [], sessions, parameters }: Call): Buffer {
  const authorizations = (sessions ?? []).map((session) =>
    // No nonce and no password.
    Buffer.concat([uint32(session), sized(), Buffer.from([continueSession]), sized()]),
  );
  const area = Buffer.concat(authorizations);
  const body = Buffer.concat([
    ...handles.map(uint32),
    ...(sessions === undefined ? [] : [uint32(area.length), area]),
    parameters ?? Buffer.alloc(0),
  ]);
  const kind = sessions === undefined ? tag.noSessions : tag.sessions;
  return Buffer.concat([uint16(kind), uint32(10 + body.length), uint32(code), body]);
}

/** The parameters of an answer with sessions, which follow their size; behind them is what the sessions say. */
function parametersOf(answer: TpmBytesReader): TpmBytesReader {
  return new TpmBytesReader(answer.take(answer.uint32()));
}
