import { parsePageRequest, type UnavailableCode } from '@countersign/protocol';
import { vi } from 'vitest';

/** What the extension behind a page answers to its challenge; `undefined` when there is no extension. */
export type Extension =
  | ((
      challenge: string,
      origin: string,
    ) => Promise<{ ok: true; response: string } | { ok: false; code: UnavailableCode }>)
  | undefined;

/**
 * Runs `script` as if it ran in a page of this origin: with a window that an extension may listen to, and a fetch that
 * sends the origin. Not for two pages at once.
 */
export async function inPageOf<Value>(
  origin: string,
  extension: Extension,
  script: () => Promise<Value>,
): Promise<Value> {
  const systemFetch = globalThis.fetch;
  vi.stubGlobal('location', { origin });
  vi.stubGlobal('fetch', (url: URL, init: RequestInit) =>
    systemFetch(url, { ...init, headers: { ...init.headers, Origin: origin } }),
  );
  vi.stubGlobal('window', {
    postMessage(data: unknown, targetOrigin: string, transfer: [MessagePort]) {
      const message = structuredClone({ data, port: transfer[0] }, { transfer });
      const request = parsePageRequest(message.data);
      if (extension === undefined || request === undefined || targetOrigin !== origin) return;
      message.port.postMessage({ type: 'received', version: 1 });
      void extension(request.challenge, origin).then((answer) =>
        message.port.postMessage({ type: 'answer', ...answer }),
      );
    },
  });
  try {
    return await script();
  } finally {
    vi.unstubAllGlobals();
  }
}
