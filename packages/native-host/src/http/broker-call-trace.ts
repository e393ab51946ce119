import { channel } from 'node:diagnostics_channel';
import * as z from 'zod/mini';

/** One call to the broker, as it ended. Nothing of what was sent is in it, since that may be a token. */
const brokerCallTrace = z.object({
  method: z.string(),
  url: z.string(),
  tookMs: z.number(),
  /** The status and, of a refusal, its code; or why there was no answer. */
  result: z.string(),
  isRefused: z.boolean(),
});
export type BrokerCallTrace = z.infer<typeof brokerCallTrace>;

const calls = channel('countersign.broker-call');

export const traceBrokerCall = (trace: BrokerCallTrace): void => calls.publish(trace);

/** Tells of every call from now on, for as long as the process lives. */
export function onBrokerCall(tell: (trace: BrokerCallTrace) => void): void {
  calls.subscribe((message) => tell(brokerCallTrace.parse(message)));
}
