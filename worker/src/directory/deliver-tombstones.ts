import { type DurableStore, isUnavailable } from '../storage/durable-store.ts';
import {
  acknowledgeDelivery,
  type Delivery,
  dueDeliveries,
  postponeDelivery,
} from './tombstone-job.ts';

/** What the fan-out needs of the object that runs it. */
export type DeliveryContext = {
  readonly store: DurableStore;
  readonly now: () => number;
  /** Has a shard write a tombstone. Idempotent. Answers, or throws, what it likes when it could not. */
  readonly bury: (delivery: Delivery) => Promise<{ readonly ok: boolean }>;
  readonly onFailure: (delivery: Delivery, detail: string) => void;
};

const deliveriesAtOnce = 32;
/** One round ends after this many, so that what became due meanwhile is not kept waiting by a large job. */
const deliveriesPerRound = 256;
/** A shard that is silent for this long is asked again later; if it has written meanwhile, it writes nothing then. */
const answerTimeoutMs = 10_000;

async function withinTimeout<Value>(work: Promise<Value>): Promise<Value> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error('no answer in time')), answerTimeoutMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** @returns false when the object itself could not note the outcome: nothing more is to be tried now */
async function deliver(context: DeliveryContext, delivery: Delivery): Promise<boolean> {
  const { store, bury, now } = context;
  let failure: string | undefined;
  try {
    const answer = await withinTimeout(bury(delivery));
    if (!answer.ok) failure = JSON.stringify(answer);
  } catch (error) {
    failure = String(error);
  }
  if (failure !== undefined) context.onFailure(delivery, failure);
  const noted = await store.write((sql) => {
    if (failure === undefined) acknowledgeDelivery(sql, delivery);
    else postponeDelivery(sql, delivery, now());
    return true;
  });
  return !isUnavailable(noted);
}

/**
 * Brings due tombstones to their shards, many at once, each acknowledgement noted as it comes: whatever interrupts
 * this, nothing that a shard has not on disk is noted, and everything else is tried again.
 */
export async function deliverTombstones(context: DeliveryContext): Promise<void> {
  for (let tried = 0; tried < deliveriesPerRound; tried += deliveriesAtOnce) {
    const due = context.store.read((sql) => dueDeliveries(sql, context.now(), deliveriesAtOnce));
    if (isUnavailable(due) || due.length === 0) return;
    const noted = await Promise.all(due.map((delivery) => deliver(context, delivery)));
    if (noted.includes(false)) return;
  }
}
