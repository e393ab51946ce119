import { type ProblemCode, problemCodes } from '@countersign/protocol';
import { type Failure, fail } from '../result.ts';
import type { BrokerRefusal } from './call-broker.ts';

/** A refusal of the broker under its own code. */
export function describeRefusal(
  refusal: BrokerRefusal,
): Failure<ProblemCode | 'broker_answer_malformed'> {
  const { code, field } = refusal.problem;
  const known = problemCodes.find((problemCode) => problemCode === code);
  const detail = field === undefined ? refusal.detail : `${refusal.detail} (${field})`;
  // A newer broker may know codes that this version does not.
  return known === undefined
    ? fail('broker_answer_malformed', `the broker refused with "${code}": ${detail}`)
    : fail(known, detail);
}
