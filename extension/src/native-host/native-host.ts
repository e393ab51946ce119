import type { UnavailableCode } from '@countersign/protocol';
import {
  type HostStatus,
  type NativeAnswer,
  type NativeRequest,
  nativeAnswer,
  nativeHostName,
  nativeMessageVersion,
} from '@countersign/protocol/native-messages';
import { parseFields } from '@countersign/protocol/schemas';
import type { BrowserApi } from '../browser-api.ts';
import { codeOfBrowserError, messageOf } from './browser-errors.ts';

/** `detail` is for the console and the popup's details; pages get the code alone. */
export type HostFailure = {
  readonly ok: false;
  readonly code: UnavailableCode;
  readonly detail: string;
};

/**
 * The program on the device, one process per question. Never rejects. At most `maxAttestsInFlight` challenges are with
 * it at once; a further one is refused with `extension_error` and starts nothing.
 */
export type NativeHost = {
  attest(question: {
    readonly challenge: string;
    /** As the browser reported it. */
    readonly origin: string;
  }): Promise<{ readonly ok: true; readonly response: string } | HostFailure>;
  status(): Promise<{ readonly ok: true; readonly status: HostStatus } | HostFailure>;
};

export const defaultHostTimeoutMs = 10_000;

/** A script on an allowed page may ask as often as it likes, and each question is a process. */
export const maxAttestsInFlight = 4;

export function createNativeHost(
  runtime: Pick<BrowserApi['runtime'], 'sendNativeMessage'>,
  newMessageId: () => string,
  timeoutMs: number = defaultHostTimeoutMs,
): NativeHost {
  let attestsInFlight = 0;

  /** Sends one request and gives back the answer that belongs to it. */
  async function ask(
    request: NativeRequest,
  ): Promise<{ readonly ok: true; readonly answer: NativeAnswer } | HostFailure> {
    const reply = await sendWithin(timeoutMs, () => {
      const sent = runtime.sendNativeMessage(nativeHostName, request);
      if (request.type === 'attest') countUntilSettled(sent);
      return sent;
    });
    if (!reply.ok) return reply;
    return readAnswer(request, reply.value);
  }

  /** Counts by the browser's own promise: after our timeout the process may still be there. */
  function countUntilSettled(sent: Promise<unknown>): void {
    attestsInFlight += 1;
    const settled = () => {
      attestsInFlight -= 1;
    };
    sent.then(settled, settled);
  }

  return {
    async attest({ challenge, origin }) {
      if (attestsInFlight >= maxAttestsInFlight) {
        const detail = `${attestsInFlight} challenges are with the host already`;
        return { ok: false, code: 'extension_error', detail };
      }
      const id = newMessageId();
      const asked = await ask({
        version: nativeMessageVersion,
        id,
        type: 'attest',
        challenge,
        origin,
      });
      if (!asked.ok) return asked;
      return asked.answer.type === 'attest'
        ? { ok: true, response: asked.answer.response }
        : otherType('attest', asked.answer);
    },
    async status() {
      const asked = await ask({
        version: nativeMessageVersion,
        id: newMessageId(),
        type: 'status',
      });
      if (!asked.ok) return asked;
      return asked.answer.type === 'status'
        ? { ok: true, status: asked.answer.status }
        : otherType('status', asked.answer);
    },
  };
}

async function sendWithin(
  timeoutMs: number,
  send: () => Promise<unknown>,
): Promise<{ readonly ok: true; readonly value: unknown } | HostFailure> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<HostFailure>((resolve) => {
    timer = setTimeout(
      () =>
        resolve({ ok: false, code: 'host_timeout', detail: `no answer within ${timeoutMs} ms` }),
      timeoutMs,
    );
  });
  try {
    const sent = send().then((value) => ({ ok: true as const, value }));
    return await Promise.race([sent, timeout]);
  } catch (error) {
    return { ok: false, code: codeOfBrowserError(error), detail: messageOf(error) };
  } finally {
    clearTimeout(timer);
  }
}

function readAnswer(
  request: NativeRequest,
  value: unknown,
): { readonly ok: true; readonly answer: NativeAnswer } | HostFailure {
  const version = versionOf(value);
  if (version !== undefined && version !== nativeMessageVersion) {
    const detail = `the host speaks version ${version}, this extension version ${nativeMessageVersion}`;
    return { ok: false, code: 'host_version_unsupported', detail };
  }
  const parsed = parseFields(nativeAnswer, value);
  if (!parsed.ok) return malformed(`${parsed.field}: ${parsed.detail}`);
  const answer = parsed.value;
  // A request that the host could not read is answered with an empty id.
  const belongs = answer.id === request.id || (answer.type === 'error' && answer.id === '');
  if (!belongs) return malformed('id: is not the id of the request');
  if (answer.type === 'error') return { ok: false, code: answer.code, detail: answer.detail };
  return { ok: true, answer };
}

function versionOf(value: unknown): number | undefined {
  if (typeof value !== 'object' || value === null || !('version' in value)) return undefined;
  return typeof value.version === 'number' ? value.version : undefined;
}

function otherType(expected: NativeRequest['type'], answer: NativeAnswer): HostFailure {
  return malformed(`type: expected ${expected}, got ${answer.type}`);
}

function malformed(detail: string): HostFailure {
  return { ok: false, code: 'host_answer_malformed', detail };
}
