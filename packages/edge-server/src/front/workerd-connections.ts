import { connect, type Socket } from 'node:net';
import { type AnswerHead, AnswerParser } from './answer-parser.ts';

/** Connections to workerd's socket, kept open between requests. */

/** A request as it goes over the wire. */
export type WireRequest = {
  /** Request line and headers, Latin-1, with the empty line at their end. */
  readonly head: string;
  readonly body: Buffer | undefined;
  readonly isHead: boolean;
};

/**
 * Why there is no whole answer.
 * `stale_connection`: it had served a request before and broke before any of this answer came, so it may have ended with
 * an earlier workerd. `timed_out`: nothing came for too long. `malformed`: it is no HTTP answer. `broken`: any other end
 * of the connection.
 */
export type AnswerFailure = 'stale_connection' | 'timed_out' | 'malformed' | 'broken';

/** Receives one answer: a head, data, and either an end or a failure. None of these may throw. */
export type AnswerReceiver = {
  readonly onHead: (head: AnswerHead) => void;
  readonly onData: (data: Buffer) => void;
  /**
   * All that has come so far was handed over, and it is not the end.
   *
   * @returns false when that is enough for now; `resume` of the exchange goes on
   */
  readonly onPart: () => boolean;
  readonly onEnd: () => void;
  readonly onFailure: (failure: AnswerFailure) => void;
};

export type Exchange = {
  readonly resume: () => void;
  /** The answer is not wanted any more. */
  readonly abandon: () => void;
};

const defaultIdleMs = 30_000;
const defaultAnswerTimeoutMs = 30_000;
const maxConnections = 512;

class Connection {
  readonly #parser = new AnswerParser();
  readonly #socket: Socket;
  readonly #onFree: (connection: Connection) => void;
  #receiver: AnswerReceiver | undefined;
  #keepAlive = true;
  #served = 0;
  #answerBegan = false;
  /** Why this side has closed it. */
  #closedFor: 'timed_out' | 'malformed' | undefined;
  /** The other side has closed in order. */
  #ended = false;
  /** By `performance.now()`: since when it has been idle, or waiting for its answer. */
  since = performance.now();

  constructor(
    path: string,
    onFree: (connection: Connection) => void,
    onClosed: (connection: Connection) => void,
  ) {
    this.#onFree = onFree;
    this.#socket = connect(path);
    this.#socket.on('data', (bytes: Buffer) => this.#take(bytes));
    this.#socket.on('end', () => {
      this.#ended = true;
    });
    // 'close' follows and tells whoever waits.
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      onClosed(this);
      this.#closed();
    });
  }

  get isBusy(): boolean {
    return this.#receiver !== undefined;
  }

  /** False as soon as either side has begun to close it. */
  get isOpen(): boolean {
    return this.#socket.writable;
  }

  send({ head, body, isHead }: WireRequest, receiver: AnswerReceiver): Exchange {
    this.#receiver = receiver;
    this.since = performance.now();
    this.#answerBegan = false;
    this.#parser.begin(isHead);
    // One buffer and one write: each is a system call, and that is most of what a request costs here.
    const bytes = Buffer.allocUnsafe(head.length + (body?.length ?? 0));
    bytes.write(head, 0, 'latin1');
    body?.copy(bytes, head.length);
    this.#socket.write(bytes);
    return {
      resume: () => {
        if (this.#receiver === receiver) this.#socket.resume();
      },
      abandon: () => {
        if (this.#receiver !== receiver) return;
        this.#receiver = undefined;
        this.#socket.destroy();
      },
    };
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Nothing has come for too long. */
  timeOut(): void {
    this.#closedFor = 'timed_out';
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    this.#answerBegan = true;
    try {
      for (const event of this.#parser.read(bytes)) {
        // Nobody waits any more.
        if (this.#receiver === undefined) return;
        this.since = performance.now();
        if (event.type === 'head') {
          this.#keepAlive = event.head.keepAlive;
          this.#receiver.onHead(event.head);
        } else if (event.type === 'data') this.#receiver.onData(event.data);
        else {
          this.#answered(this.#receiver);
          return;
        }
      }
      if (this.#receiver?.onPart() === false) this.#socket.pause();
    } catch {
      this.#closedFor = 'malformed';
      this.#socket.destroy();
    }
  }

  #answered(receiver: AnswerReceiver): void {
    this.#receiver = undefined;
    this.#served += 1;
    this.#socket.resume();
    if (this.#keepAlive) this.#onFree(this);
    else this.#socket.destroy();
    receiver.onEnd();
  }

  #closed(): void {
    const receiver = this.#receiver;
    this.#receiver = undefined;
    if (receiver === undefined) return;
    if (this.#ended && this.#parser.close()) receiver.onEnd();
    else receiver.onFailure(this.#failure());
  }

  #failure(): AnswerFailure {
    if (this.#closedFor !== undefined) return this.#closedFor;
    return this.#served > 0 && !this.#answerBegan ? 'stale_connection' : 'broken';
  }
}

type Waiting = {
  readonly start: (connection: Connection) => void;
  readonly receiver: AnswerReceiver;
  /** By `performance.now()`. */
  readonly since: number;
};

export type ConnectionTiming = {
  /** For a connection without a request. */
  readonly idleMs?: number;
  /** For the next part of an answer, and for a connection when all are busy. */
  readonly answerTimeoutMs?: number;
};

export class WorkerdConnections {
  readonly #path: string;
  readonly #idleMs: number;
  readonly #answerTimeoutMs: number;
  readonly #all = new Set<Connection>();
  /** The one that was used last comes first: the others grow old and are closed. */
  readonly #idle: Connection[] = [];
  readonly #waiting = new Set<Waiting>();
  readonly #sweep: NodeJS.Timeout;

  /** @param path of workerd's unix socket */
  constructor(path: string, timing: ConnectionTiming = {}) {
    this.#path = path;
    this.#idleMs = timing.idleMs ?? defaultIdleMs;
    this.#answerTimeoutMs = timing.answerTimeoutMs ?? defaultAnswerTimeoutMs;
    const everyMs = Math.min(this.#idleMs, this.#answerTimeoutMs) / 4;
    this.#sweep = setInterval(() => this.#closeOld(), everyMs);
    this.#sweep.unref();
  }

  /** @param fresh over a new connection, whatever is idle */
  send(request: WireRequest, receiver: AnswerReceiver, fresh = false): Exchange {
    while (!fresh) {
      const idle = this.#idle.pop();
      if (idle === undefined) break;
      if (idle.isOpen) return idle.send(request, receiver);
    }
    if (this.#all.size < maxConnections) return this.#open().send(request, receiver);
    return this.#wait(request, receiver);
  }

  /** Closes those without a request. */
  closeIdle(): void {
    for (const connection of this.#all) if (!connection.isBusy) connection.destroy();
  }

  destroy(): void {
    clearInterval(this.#sweep);
    for (const { receiver } of this.#waiting) receiver.onFailure('broken');
    this.#waiting.clear();
    for (const connection of this.#all) connection.destroy();
  }

  #open(): Connection {
    const connection: Connection = new Connection(
      this.#path,
      (free) => this.#freed(free),
      (closed) => this.#closed(closed),
    );
    this.#all.add(connection);
    return connection;
  }

  #wait(request: WireRequest, receiver: AnswerReceiver): Exchange {
    let exchange: Exchange | undefined;
    const waiting: Waiting = {
      receiver,
      since: performance.now(),
      start: (connection) => {
        exchange = connection.send(request, receiver);
      },
    };
    this.#waiting.add(waiting);
    return {
      resume: () => exchange?.resume(),
      abandon: () => {
        this.#waiting.delete(waiting);
        exchange?.abandon();
      },
    };
  }

  #takeWaiting(): Waiting | undefined {
    for (const first of this.#waiting) {
      this.#waiting.delete(first);
      return first;
    }
    return undefined;
  }

  #freed(connection: Connection): void {
    const next = this.#takeWaiting();
    if (next === undefined) this.#idle.push(connection);
    else next.start(connection);
  }

  #closed(connection: Connection): void {
    this.#all.delete(connection);
    const index = this.#idle.indexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
    const next = this.#takeWaiting();
    if (next !== undefined) next.start(this.#open());
  }

  #closeOld(): void {
    const now = performance.now();
    for (const connection of this.#all) {
      const ageMs = now - connection.since;
      if (!connection.isBusy) {
        if (ageMs > this.#idleMs) connection.destroy();
      } else if (ageMs > this.#answerTimeoutMs) connection.timeOut();
    }
    for (const waiting of this.#waiting) {
      if (now - waiting.since <= this.#answerTimeoutMs) continue;
      this.#waiting.delete(waiting);
      waiting.receiver.onFailure('timed_out');
    }
  }
}
