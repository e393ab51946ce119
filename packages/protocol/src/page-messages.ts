import { type UnavailableCode, unavailableCodes } from './reason-codes.ts';

/**
 * Page and content script. The page posts one `AttestPageRequest` to its own window with a `MessagePort`
 * transferred; every answer comes back on that port alone. First `received`, at once, so that a missing extension is
 * told from a slow one; then `answer`. Parsed by hand: the page part ships no schema library.
 */
export const pageMessageType = 'countersign.attest';
export const pageMessageVersion = 1;

export type AttestPageRequest = {
  readonly type: typeof pageMessageType;
  readonly version: typeof pageMessageVersion;
  /** Compact JWS from `POST /v1/challenges`. */
  readonly challenge: string;
};

export type AttestPageReply =
  | { readonly type: 'received'; readonly version: typeof pageMessageVersion }
  | { readonly type: 'answer'; readonly ok: true; readonly response: string }
  | { readonly type: 'answer'; readonly ok: false; readonly code: UnavailableCode };

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads a request from an untrusted page; `undefined` when it is not one of ours. */
export function parsePageRequest(message: unknown): AttestPageRequest | undefined {
  if (!isRecord(message) || message.type !== pageMessageType) return undefined;
  if (message.version !== pageMessageVersion || typeof message.challenge !== 'string')
    return undefined;
  return { type: pageMessageType, version: pageMessageVersion, challenge: message.challenge };
}

/** Reads a reply; `undefined` when it is malformed. */
export function parsePageReply(message: unknown): AttestPageReply | undefined {
  if (!isRecord(message)) return undefined;
  if (message.type === 'received') return { type: 'received', version: pageMessageVersion };
  if (message.type !== 'answer') return undefined;
  if (message.ok === true && typeof message.response === 'string') {
    return { type: 'answer', ok: true, response: message.response };
  }
  const code = unavailableCodes.find((known) => known === message.code);
  return message.ok === false && code !== undefined
    ? { type: 'answer', ok: false, code }
    : undefined;
}
