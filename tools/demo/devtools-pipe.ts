import type { ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import * as z from 'zod/mini';

/** Messages of the Chrome DevTools Protocol, as far as they concern this end. */
const devtoolsMessage = z.looseObject({
  id: z.optional(z.int()),
  method: z.optional(z.string()),
  sessionId: z.optional(z.string()),
  params: z.optional(z.unknown()),
  result: z.optional(z.unknown()),
  error: z.optional(z.looseObject({ message: z.string() })),
});

export type DevtoolsEvent = {
  readonly method: string;
  readonly sessionId: string | undefined;
  readonly params: unknown;
};

/** How to start a browser so that `openDevtoolsPipe` reaches it: descriptors 3 and 4, and nothing on the network. */
export const devtoolsStdio = ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] as const;

/**
 * The DevTools Protocol over the pipe of `--remote-debugging-pipe`: JSON texts that end with a NUL. Unlike a debugging
 * port it is open to this process alone.
 */
export function openDevtoolsPipe(browser: ChildProcess, onEvent: (event: DevtoolsEvent) => void) {
  const input = browser.stdio[3] as Writable;
  const output = browser.stdio[4] as Readable;
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let lastId = 0;
  let unread = '';

  let hasEnded = false;
  const failAll = () => {
    for (const [id, { reject }] of waiting) {
      waiting.delete(id);
      reject(new Error('the browser has ended'));
    }
  };
  const receive = (text: string) => {
    const message = z.parse(devtoolsMessage, JSON.parse(text));
    if (message.id === undefined) {
      const { method = '', sessionId, params } = message;
      return onEvent({ method, sessionId, params });
    }
    const call = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.error !== undefined) call?.reject(new Error(message.error.message));
    else call?.resolve(message.result);
  };
  output.setEncoding('utf8').on('data', (text: string) => {
    const parts = (unread + text).split('\0');
    unread = parts.pop() ?? '';
    parts.forEach(receive);
  });
  input.on('error', () => undefined);
  browser.once('exit', () => {
    hasEnded = true;
    failAll();
  });

  return {
    /** Calls a method; rejects with the browser's own words. */
    send(method: string, params: object = {}, sessionId?: string): Promise<unknown> {
      lastId += 1;
      const call = Promise.withResolvers<unknown>();
      waiting.set(lastId, call);
      const session = sessionId === undefined ? {} : { sessionId };
      input.write(`${JSON.stringify({ id: lastId, method, params, ...session })}\0`);
      if (hasEnded) failAll();
      return call.promise;
    },
  };
}
export type DevtoolsPipe = ReturnType<typeof openDevtoolsPipe>;
