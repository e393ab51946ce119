import { vi } from 'vitest';

export type PageMessage = { readonly data: unknown; readonly port: MessagePort };

/** Puts a window and a location into the globals, enough for `attest()`. `deliver` plays the content scripts. */
export function openFakePage(origin: string, deliver: (message: PageMessage) => void) {
  const posted: { data: unknown; targetOrigin: string }[] = [];
  vi.stubGlobal('location', { origin });
  vi.stubGlobal('window', {
    postMessage(data: unknown, targetOrigin: string, transfer: MessagePort[]) {
      posted.push({ data, targetOrigin });
      const [port] = transfer;
      if (port === undefined) throw new Error('no port was transferred');
      const message = structuredClone({ data, port }, { transfer });
      if (targetOrigin === origin) queueMicrotask(() => deliver(message));
    },
  });
  return { posted };
}

/** Resolves when the other side closes its port. */
export const closed = (port: MessagePort) =>
  new Promise((resolve) => port.addEventListener('close', resolve));
