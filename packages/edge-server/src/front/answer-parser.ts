/**
 * Takes workerd's HTTP/1.1 answers out of the bytes of one connection (RFC 9112). It stands between our own two programs
 * and costs half of what Node's general client does; anything that it does not know ends the connection.
 */

export type AnswerHead = {
  readonly status: number;
  /** Name, value, name, value … */
  readonly rawHeaders: readonly string[];
  /** Whether the connection can carry another request after this answer. */
  readonly keepAlive: boolean;
};

export type AnswerEvent =
  | { readonly type: 'head'; readonly head: AnswerHead }
  | { readonly type: 'data'; readonly data: Buffer }
  | { readonly type: 'end' };

const maxHeadBytes = 64 * 1024;
const maxChunkLineBytes = 1024;
const headEnd = Buffer.from('\r\n\r\n');
const lineEnd = Buffer.from('\r\n');
const noBytes = Buffer.alloc(0);

type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until_close' };

type State =
  | 'idle'
  | 'head'
  | 'length'
  | 'chunk_line'
  | 'chunk_data'
  | 'chunk_end'
  | 'trailer'
  | 'until_close';

function malformed(what: string): Error {
  return new Error(`workerd's answer is malformed: ${what}`);
}

function parseHead(text: string, isHeadRequest: boolean): { head: AnswerHead; framing: Framing } {
  const [statusLine = '', ...lines] = text.split('\r\n');
  const status = /^HTTP\/1\.1 ([1-5]\d\d)(?: |$)/.exec(statusLine)?.[1];
  if (status === undefined) throw malformed('status line');
  const rawHeaders: string[] = [];
  let length: number | undefined;
  let chunked = false;
  let keepAlive = true;
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 1) throw malformed('header line');
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).trim();
    rawHeaders.push(name, value);
    switch (name.toLowerCase()) {
      case 'content-length':
        if (length !== undefined || !/^\d{1,15}$/.test(value)) throw malformed('Content-Length');
        length = Number(value);
        break;
      case 'transfer-encoding':
        if (chunked || value.toLowerCase() !== 'chunked') throw malformed('Transfer-Encoding');
        chunked = true;
        break;
      case 'connection':
        if (/\bclose\b/i.test(value)) keepAlive = false;
        break;
      default:
    }
  }
  if (chunked && length !== undefined) throw malformed('two framings');
  const code = Number(status);
  const framing = framingOf(code, isHeadRequest, chunked, length);
  if (framing.kind === 'until_close') keepAlive = false;
  return { head: { status: code, rawHeaders, keepAlive }, framing };
}

/** RFC 9112 section 6.3. */
function framingOf(
  status: number,
  isHeadRequest: boolean,
  chunked: boolean,
  length: number | undefined,
): Framing {
  if (isHeadRequest || status < 200 || status === 204 || status === 304) return { kind: 'none' };
  if (chunked) return { kind: 'chunked' };
  if (length === 0) return { kind: 'none' };
  return length === undefined ? { kind: 'until_close' } : { kind: 'length', length };
}

/** One per connection; `begin` before each request. Throws on what it does not understand. */
export class AnswerParser {
  #state: State = 'idle';
  #isHeadRequest = false;
  #held: Buffer = noBytes;
  #left = 0;

  begin(isHeadRequest: boolean): void {
    this.#state = 'head';
    this.#isHeadRequest = isHeadRequest;
    this.#held = noBytes;
  }

  /** What these bytes complete, in order. */
  read(bytes: Buffer): AnswerEvent[] {
    const events: AnswerEvent[] = [];
    let rest = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    this.#held = noBytes;
    while (rest.length > 0) {
      const used = this.#step(rest, events);
      if (used === 0) {
        this.#held = rest;
        break;
      }
      rest = rest.subarray(used);
    }
    return events;
  }

  /** The other side has closed; whether that is a proper end of the answer. */
  close(): boolean {
    return this.#state === 'until_close';
  }

  /** @returns how many bytes were used; 0 when more are needed */
  #step(bytes: Buffer, events: AnswerEvent[]): number {
    switch (this.#state) {
      case 'idle':
        throw malformed('bytes after its end');
      case 'head':
        return this.#readHead(bytes, events);
      case 'length':
      case 'chunk_data':
        return this.#readCounted(bytes, events);
      case 'until_close':
        events.push({ type: 'data', data: bytes });
        return bytes.length;
      default:
        return this.#readChunkLine(bytes, events);
    }
  }

  #readHead(bytes: Buffer, events: AnswerEvent[]): number {
    const end = bytes.indexOf(headEnd);
    if (end < 0 || end > maxHeadBytes) {
      if (bytes.length > maxHeadBytes) throw malformed('head too long');
      return 0;
    }
    const { head, framing } = parseHead(bytes.toString('latin1', 0, end), this.#isHeadRequest);
    const used = end + headEnd.length;
    // 100 and 103 come before the answer proper.
    if (head.status < 200) return used;
    events.push({ type: 'head', head });
    switch (framing.kind) {
      case 'none':
        this.#finish(events);
        break;
      case 'length':
        this.#state = 'length';
        this.#left = framing.length;
        break;
      case 'chunked':
        this.#state = 'chunk_line';
        break;
      case 'until_close':
        this.#state = 'until_close';
        break;
    }
    return used;
  }

  #readCounted(bytes: Buffer, events: AnswerEvent[]): number {
    const data = bytes.length <= this.#left ? bytes : bytes.subarray(0, this.#left);
    events.push({ type: 'data', data });
    this.#left -= data.length;
    if (this.#left === 0) {
      if (this.#state === 'length') this.#finish(events);
      else this.#state = 'chunk_end';
    }
    return data.length;
  }

  /** A chunk's size, the line end after its data, or a line of the trailer section (which is dropped). */
  #readChunkLine(bytes: Buffer, events: AnswerEvent[]): number {
    const end = bytes.indexOf(lineEnd);
    if (end < 0 || end > maxChunkLineBytes) {
      if (bytes.length > maxChunkLineBytes) throw malformed('chunk line too long');
      return 0;
    }
    const line = bytes.toString('latin1', 0, end);
    if (this.#state === 'chunk_line') {
      const size = /^([0-9a-fA-F]{1,8})(?:[;\s].*)?$/.exec(line)?.[1];
      if (size === undefined) throw malformed('chunk size');
      this.#left = Number.parseInt(size, 16);
      this.#state = this.#left === 0 ? 'trailer' : 'chunk_data';
    } else if (this.#state === 'chunk_end') {
      if (line !== '') throw malformed('chunk end');
      this.#state = 'chunk_line';
    } else if (line === '') {
      this.#finish(events);
    }
    return end + lineEnd.length;
  }

  #finish(events: AnswerEvent[]): void {
    this.#state = 'idle';
    events.push({ type: 'end' });
  }
}
