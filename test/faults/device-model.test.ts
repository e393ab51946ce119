// Random lives of one device, against a model of what must come of them: enrollments, renewals, changes of keys, sign-ins,
// completions, retries, replays, revocations, holds, a device that is lost and found, users who leave and come back,
// policies that change, objects that drop out of memory and kill -9 in between.
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FaultBroker } from '../support/faults/fault-broker.ts';
import { ChainReader } from '../support/model/chain-reader.ts';
import { deviceCommands, usualBeginning } from '../support/model/device-commands.ts';
import { DeviceModel } from '../support/model/device-model.ts';
import {
  DeviceSystem,
  type ModelClient,
  registerModelClients,
} from '../support/model/device-system.ts';

const sequences = Number(process.env.COUNTERSIGN_MODEL_SEQUENCES ?? 200);
const seed = Number(process.env.COUNTERSIGN_MODEL_SEED ?? 20_261_121);
/** `path` and `replayPath` of a failure, as fast-check prints them: they lead straight to the sequence that failed. */
const path = process.env.COUNTERSIGN_MODEL_PATH;
const replayPath = process.env.COUNTERSIGN_MODEL_REPLAY_PATH;
/** Of a thousand requests; each costs a third of a second. */
const killShare = 2;
/** Each may be refused 120 times a minute in a shard. */
const clientGroups = 24;

let faults: FaultBroker;
let groups: ModelClient[][];
beforeAll(async () => {
  faults = await FaultBroker.start({ shardCount: 2 });
  groups = [];
  for (let group = 0; group < clientGroups; group++)
    groups.push(await registerModelClients(faults));
});
afterAll(() => faults?.stopAndRemove());

it(
  `#2 #37 #39 a device lives as its model does (COUNTERSIGN_MODEL_SEED=${seed})`,
  async () => {
    let started = 0;
    const chains = new ChainReader(faults.broker);
    const reached = new Map<string, number>();
    const clients = () => groups[started % clientGroups] ?? [];
    const commands = deviceCommands(clients, killShare, replayPath);
    await fc.assert(
      fc.asyncProperty(fc.nat(3), commands, async (certificates, sequence) => {
        started += 1;
        const model = new DeviceModel();
        const system = new DeviceSystem(faults);
        const beginning = usualBeginning(clients, certificates);
        await system.restorePolicies(clients());
        await fc.asyncModelRun(() => ({ model, real: system }), [...beginning, ...sequence]);

        // Its decisions are on record, once each, as they were answered, in chains that verify.
        const records = (await chains.readNew()).filter(
          ({ subject, opened }) => opened && system.isOwnUser(subject),
        );
        expect(
          records.map(({ shard, sequence, decision, reason, device_trusted, bound_now }) => ({
            decisionId: `${shard}.${sequence}`,
            decision,
            reason,
            trusted: device_trusted,
            boundNow: bound_now,
          })),
        ).toEqual(
          model.rows
            .map(({ decisionId, decision, reason, trusted, boundNow }) => ({
              decisionId,
              decision,
              reason,
              trusted,
              boundNow,
            }))
            .toSorted((one, other) => chains.compareIds(one.decisionId, other.decisionId)),
        );
        for (const { reason } of model.rows) reached.set(reason, (reached.get(reason) ?? 0) + 1);
      }),
      { seed, numRuns: sequences, ...(path === undefined ? {} : { path }) },
    );
    expect(await faults.broker.brokenRows()).toEqual([]);
    // The sequences went where they were meant to go.
    const reasons = Object.fromEntries(reached);
    console.log(`${started} sequences`, reasons);
    expect(Object.keys(reasons)).toEqual(expect.arrayContaining(expectedReasons));
  },
  (400 + sequences) * 1000,
);

const expectedReasons = [
  'trusted_device',
  'monitor_only',
  'step_up_required',
  'step_up_completed',
  'authentication_required',
  'certificate_revoked',
  'certificate_suspended',
  'device_blocked',
  'certificate_bound_to_other_user',
  'user_revoked',
  'subject_inactive',
  'evidence_missing',
  'response_wrong_origin',
];
