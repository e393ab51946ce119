import { streamSignatureHeader, streamTimestampHeader } from '@countersign/protocol/system-log';

/** One POST to a webhook. What answers may be anything: nothing of it is read but its status. */

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export type Delivery = {
  readonly url: string;
  readonly secret: string;
  /** JSON. */
  readonly body: string;
};

export type DeliveryOutcome =
  | { readonly ok: true }
  /** For administrators; nothing of the receiver's answer but its status. */
  | { readonly ok: false; readonly detail: string };

export const deliveryTimeoutMs = 10_000;

const encoder = new TextEncoder();

/** `v1=` and hexadecimal HMAC-SHA-256 over `<timestamp>.<body>`, keyed with the secret's text. */
export async function signDelivery(
  secret: string,
  timestampSeconds: number,
  body: string,
): Promise<string> {
  const key = await crypto.subtle.importKey(
    'raw',
    encoder.encode(secret),
    { name: 'HMAC', hash: 'SHA-256' },
    false,
    ['sign'],
  );
  const mac = await crypto.subtle.sign('HMAC', key, encoder.encode(`${timestampSeconds}.${body}`));
  return `v1=${Array.from(new Uint8Array(mac), (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/** Delivered is what was answered with 2xx, in time. Redirects are not followed. */
export async function sendDelivery(
  fetch: Fetch,
  { url, secret, body }: Delivery,
  nowMs: number,
  timeoutMs = deliveryTimeoutMs,
): Promise<DeliveryOutcome> {
  const timestampSeconds = Math.floor(nowMs / 1000);
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), timeoutMs);
  try {
    const response = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      signal: limit.signal,
      headers: {
        'Content-Type': 'application/json',
        'User-Agent': 'Countersign',
        [streamTimestampHeader]: String(timestampSeconds),
        [streamSignatureHeader]: await signDelivery(secret, timestampSeconds, body),
      },
      body,
    });
    await response.body?.cancel().catch(() => undefined);
    const { status } = response;
    if (status >= 200 && status < 300) return { ok: true };
    if (status >= 300 && status < 400) {
      return { ok: false, detail: `the receiver redirects (${status}), which is not followed` };
    }
    return { ok: false, detail: `the receiver answers ${status}` };
  } catch {
    return {
      ok: false,
      detail: limit.signal.aborted
        ? `the receiver does not answer within ${timeoutMs / 1000} s`
        : 'the receiver cannot be reached, or its TLS certificate is not trusted',
    };
  } finally {
    clearTimeout(timer);
  }
}
