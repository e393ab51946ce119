import { DurableObject } from 'cloudflare:workers';
import type { LogStream } from '@countersign/protocol/system-log';
import { currentTimeMs } from '../clock.ts';
import type { Environment } from '../config/environment.ts';
import { readSettings, type Settings } from '../config/settings.ts';
import { checkOutboundUrl } from '../integrations/outbound-url.ts';
import { DurableStore, isUnavailable, type StorageUnavailable } from '../storage/durable-store.ts';
import { openSecret } from '../storage/sealed-secret.ts';
import { noCheckpoints, readCheckpointChains, signCheckpoints } from './checkpoints.ts';
import { deliverStreams, nextDeliveryMs } from './deliver-streams.ts';
import type { IntakeAnswer } from './drain-log.ts';
import { reportMigrations } from './report-schema.ts';
import {
  keepFromMs,
  readGeneration,
  readRetentionDays,
  removeOldEvents,
  writeRetentionDays,
} from './report-settings.ts';
import { type LogSearch, type LogSearchPage, searchLog } from './search-log.ts';
import { type Delivery, type DeliveryOutcome, sendDelivery } from './send-delivery.ts';
import {
  deleteStream,
  describeStream,
  findStream,
  insertStream,
  type NewStream,
  readStreams,
  resumeStream,
  type StreamRow,
  streamSecretContext,
} from './stream-records.ts';
import type { SystemLogEvent } from './system-log-event.ts';
import { forgetChains, type RowBatch, takeInRows } from './take-in-rows.ts';

type Failure<Code extends string> = { readonly ok: false; readonly code: Code };

export type SearchAnswer =
  | ({ readonly ok: true } & LogSearchPage)
  | Failure<'log_cursor_unknown'>
  | StorageUnavailable;

export type StreamAnswer =
  | { readonly ok: true; readonly stream: LogStream }
  | Failure<'log_stream_not_found' | 'log_stream_limit_reached'>
  | StorageUnavailable;

export const maxStreams = 16;
/** Rows come in bursts: those of a second leave together. */
const deliverAfterMs = 1_000;
const removeEveryMs = 6 * 3_600_000;

function log(event: string, fields: Readonly<Record<string, unknown>>): void {
  console.error(JSON.stringify({ event, ...fields }));
}

/**
 * The system log: events of all chains in one searchable place, streams to webhooks, signed checkpoints. Fed by the
 * objects that own the chains; whatever is lost here can be brought again, except the streams themselves. One object.
 */
export class ReportObject extends DurableObject<Environment> {
  readonly #store: DurableStore;
  #settings: Settings | undefined;
  /** `undefined`: not known to be set. */
  #alarmAtMs: number | undefined;

  constructor(state: DurableObjectState, environment: Environment) {
    super(state, environment);
    this.#store = new DurableStore(state.storage, reportMigrations, () => {
      this.#alarmAtMs = undefined;
    });
  }

  /** Rows of one chain; see `take-in-rows.ts`. */
  async takeIn(batch: RowBatch): Promise<IntakeAnswer> {
    const taken = await this.#store.write((sql) => {
      const nowMs = currentTimeMs();
      const result = takeInRows(sql, batch, nowMs, keepFromMs(sql, nowMs));
      // Here too: an object that is always begun anew for its next rows may never come to its alarm.
      removeOldEvents(sql, nowMs);
      this.#schedule(sql, nowMs);
      return result;
    });
    if (isUnavailable(taken)) return taken;
    if (taken.brokenAt !== undefined) {
      log('log_chain_broken', { chain: batch.chain, sequence: taken.brokenAt });
    }
    return { ok: true, ...taken };
  }

  /** One page; see `search-log.ts`. */
  async search(search: LogSearch): Promise<SearchAnswer> {
    return this.#store.read((sql): SearchAnswer => {
      const generation = readGeneration(sql);
      if (search.after !== undefined && search.after.generation !== generation) {
        return { ok: false, code: 'log_cursor_unknown' };
      }
      return { ok: true, ...searchLog(sql, generation, search) };
    });
  }

  async retentionDays() {
    return this.#store.read((sql) => ({ ok: true, days: readRetentionDays(sql) }) as const);
  }

  async setRetentionDays(days: number) {
    return await this.#store.write((sql) => {
      writeRetentionDays(sql, days);
      this.#setAlarm(currentTimeMs() + deliverAfterMs);
      return { ok: true } as const;
    });
  }

  /** The chains' owners bring all their rows again. */
  async forgetChains() {
    return await this.#store.write((sql) => {
      forgetChains(sql);
      return { ok: true } as const;
    });
  }

  /** Signed heads of all chains, as far as their rows have come here. */
  async checkpoints() {
    const chains = this.#store.read(readCheckpointChains);
    if (isUnavailable(chains)) return chains;
    const settings = await this.#loadedSettings();
    if (settings === undefined) return { ok: false, code: 'configuration_invalid' } as const;
    return { ok: true, signed: await this.#sign(settings, chains) } as const;
  }

  async streams() {
    return this.#store.read((sql) => {
      const generation = readGeneration(sql);
      const streams = readStreams(sql).map((row) => describeStream(sql, generation, row));
      return { ok: true, streams } as const;
    });
  }

  /** @param stream its secret is sealed already: this object only ever opens it */
  async createStream(stream: NewStream): Promise<StreamAnswer> {
    return await this.#store.write((sql): StreamAnswer => {
      if (readStreams(sql).length >= maxStreams) {
        return { ok: false, code: 'log_stream_limit_reached' };
      }
      insertStream(sql, stream, currentTimeMs());
      return this.#describe(sql, stream.stream_id);
    });
  }

  async resumeStream(streamId: string): Promise<StreamAnswer> {
    return await this.#store.write((sql): StreamAnswer => {
      resumeStream(sql, streamId, currentTimeMs());
      return this.#describe(sql, streamId);
    });
  }

  async deleteStream(streamId: string): Promise<StreamAnswer> {
    return await this.#store.write((sql): StreamAnswer => {
      const answer = this.#describe(sql, streamId);
      deleteStream(sql, streamId);
      return answer;
    });
  }

  /** One delivery without events, at once. Changes nothing about the stream. */
  async testStream(
    streamId: string,
  ): Promise<{ readonly ok: true; readonly outcome: DeliveryOutcome } | StreamAnswer> {
    const stream = this.#store.read((sql) => findStream(sql, streamId));
    if (isUnavailable(stream)) return stream;
    if (stream === undefined) return { ok: false, code: 'log_stream_not_found' };
    const secret = await this.#openSecret(stream);
    if (secret === undefined) {
      return { ok: true, outcome: { ok: false, detail: 'the secret of the stream does not open' } };
    }
    const head = { stream_id: streamId, test: true, ...noCheckpoints };
    const body = JSON.stringify({ ...head, events: [] });
    return { ok: true, outcome: await this.#send({ url: stream.url, secret, body }) };
  }

  /** Delivers what is due, removes what is too old, and sets the next alarm. */
  override async alarm(): Promise<void> {
    this.#alarmAtMs = undefined;
    const settings = await this.#loadedSettings();
    if (settings !== undefined) {
      await deliverStreams({
        store: this.#store,
        now: currentTimeMs,
        signCheckpoints: (chains) => this.#sign(settings, chains),
        openSecret: (stream) => this.#openSecret(stream),
        send: (delivery) => this.#send(delivery),
        onPaused: (stream, detail) => this.#tellOfPause(stream, detail),
      });
    }
    const more = await this.#store.write((sql) => {
      const nowMs = currentTimeMs();
      const isMore = removeOldEvents(sql, nowMs);
      this.#schedule(sql, nowMs);
      if (isMore) this.#setAlarm(nowMs + deliverAfterMs);
      return isMore;
    });
    // Thrown, it is for the runtime to try again.
    if (isUnavailable(more)) throw new Error('the outcome of this round could not be stored');
  }

  #describe(sql: SqlStorage, streamId: string): StreamAnswer {
    const row = findStream(sql, streamId);
    if (row === undefined) return { ok: false, code: 'log_stream_not_found' };
    this.#schedule(sql, currentTimeMs());
    return { ok: true, stream: describeStream(sql, readGeneration(sql), row) };
  }

  #sign(settings: Settings, chains: Parameters<typeof signCheckpoints>[0]) {
    return signCheckpoints(chains, settings, currentTimeMs());
  }

  async #openSecret(stream: StreamRow): Promise<string | undefined> {
    const settings = await this.#loadedSettings();
    if (settings === undefined) return undefined;
    const context = streamSecretContext(stream.stream_id);
    return await openSecret(settings.storedSecretsKey, context, stream.sealed_secret);
  }

  /** The URL was right when the stream was created; what is open for the broker may have changed since. */
  async #send(delivery: Delivery): Promise<DeliveryOutcome> {
    const settings = await this.#loadedSettings();
    const checked = checkOutboundUrl(delivery.url, settings?.outboundNetworks ?? []);
    if (!checked.ok) return { ok: false, detail: `the URL ${checked.detail}` };
    return await sendDelivery((url, init) => fetch(url, init), delivery, currentTimeMs());
  }

  /** In the organization's chain, where every administrator's other change is. */
  async #tellOfPause(stream: StreamRow, detail: string): Promise<void> {
    const event: SystemLogEvent = {
      event_type: 'log.stream.pause',
      outcome: 'FAILURE',
      reason: 'log_stream_failing',
      actor: { type: 'system' },
      debug_data: { stream_id: stream.stream_id, name: stream.name, url: stream.url, detail },
    };
    try {
      const { ORGANIZATION } = this.env;
      await ORGANIZATION.get(ORGANIZATION.idFromName('organization')).recordEvent(event);
    } catch (error) {
      log('log_stream_pause_not_recorded', { stream_id: stream.stream_id, detail: String(error) });
    }
  }

  #schedule(sql: SqlStorage, nowMs: number): void {
    const delivery = nextDeliveryMs(sql);
    const wanted = Math.min(
      nowMs + removeEveryMs,
      delivery === undefined
        ? Number.POSITIVE_INFINITY
        : Math.max(delivery, nowMs + deliverAfterMs),
    );
    if (this.#alarmAtMs === undefined || wanted < this.#alarmAtMs) this.#setAlarm(wanted);
  }

  #setAlarm(atMs: number): void {
    this.#alarmAtMs = atMs;
    void this.ctx.storage.setAlarm(atMs);
  }

  async #loadedSettings(): Promise<Settings | undefined> {
    if (this.#settings !== undefined) return this.#settings;
    const settings = await readSettings(this.env);
    if (!settings.ok) return undefined;
    this.#settings = settings.settings;
    return this.#settings;
  }
}
