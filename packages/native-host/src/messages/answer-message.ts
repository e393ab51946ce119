import type { UnavailableCode } from '@countersign/protocol';
import {
  type HostStatus,
  type NativeAnswer,
  type NativeRequest,
  nativeMessageVersion,
  nativeRequest,
} from '@countersign/protocol/native-messages';
import { parseFields } from '@countersign/protocol/schemas';
import type { AttestRequest } from '../attest/answer-challenge.ts';
import type { Result } from '../result.ts';
import { parseStrictJsonBytes } from '../strict-json.ts';

/** One function for each purpose that an extension may have. There is none that signs what it is given. */
export type Purposes = {
  readonly attest: (request: AttestRequest) => Promise<Result<string, UnavailableCode>>;
  readonly status: () => Promise<Result<HostStatus, UnavailableCode>>;
};

const longestId = 64;

/** Answers one message. Never throws: what cannot be answered is an error answer with its own code. */
export async function answerMessage(
  unverifiedMessage: Uint8Array,
  purposes: Purposes,
  logDefect: (error: unknown) => void,
): Promise<NativeAnswer> {
  const json = parseStrictJsonBytes(unverifiedMessage);
  if (!json.ok) return errorAnswer('', 'message_malformed', `the message ${json.detail}`);
  const id = idOf(json.value);
  const version = memberOf(json.value, 'version');
  if (typeof version === 'number' && version !== nativeMessageVersion) {
    return errorAnswer(
      id,
      'host_version_unsupported',
      `this host speaks version ${nativeMessageVersion}`,
    );
  }
  const request = parseFields(nativeRequest, json.value);
  if (!request.ok) {
    return errorAnswer(id, 'message_malformed', `${request.field} ${request.detail}`);
  }
  try {
    return await answerRequest(request.value, purposes);
  } catch (error) {
    logDefect(error);
    return errorAnswer(id, 'host_internal_error', 'the host failed; its standard error says why');
  }
}

async function answerRequest(request: NativeRequest, purposes: Purposes): Promise<NativeAnswer> {
  const { id, type } = request;
  const envelope = { version: nativeMessageVersion, id } as const;
  switch (type) {
    case 'attest': {
      const { challenge, origin } = request;
      const response = await purposes.attest({ challenge, origin });
      return response.ok
        ? { ...envelope, type, response: response.value }
        : errorAnswer(id, response.reason, response.detail);
    }
    case 'status': {
      const status = await purposes.status();
      return status.ok
        ? { ...envelope, type, status: status.value }
        : errorAnswer(id, status.reason, status.detail);
    }
  }
}

/** The answer to something that is not a message at all. */
export function errorAnswer(id: string, code: UnavailableCode, detail: string): NativeAnswer {
  return { version: nativeMessageVersion, id, type: 'error', code, detail };
}

/** The id of a message that may be wrong in every other way, so that the sender can match the error. */
function idOf(unverifiedMessage: unknown): string {
  const id = memberOf(unverifiedMessage, 'id');
  return typeof id === 'string' && id.length <= longestId ? id : '';
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.getOwnPropertyDescriptor(value, name)?.value
    : undefined;
}
