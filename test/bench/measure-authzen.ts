import { alternate, type Figure, median } from './figures.ts';
import { enrollFleet, type Fleet } from './prepared-sign-ins.ts';
import { encodeCall, type LoadResult, sendAll } from './send-all.ts';
import { startBroker, startFloor } from './workerd-direct.ts';

const callsPerRound = 6000;
const batchesPerRound = 600;
const batchSize = 50;
const rounds = 5;
const warmUp = 3000;
const subjectCount = 1000;
const resourceCount = 1000;
const ruleCount = 100;

const ids = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, place) => `${prefix}-${place}`);

/** Roles read and write documents of their department; the rules of a subject are found among a hundred. */
const access = {
  resource_types: [{ type: 'document', actions: ['read', 'write'] }],
  subjects: ids('person', subjectCount).map((id, place) => ({
    type: 'user',
    id,
    properties: { role: `role-${place % ruleCount}` },
  })),
  resources: ids('document', resourceCount).map((id, place) => ({
    type: 'document',
    id,
    properties: { department: `department-${place % ruleCount}` },
  })),
  rules: Array.from({ length: ruleCount }, (_, place) => ({
    id: `rule-${place}`,
    when: {
      actions: ['read'],
      subject_properties: [{ name: 'role', any_of: [`role-${place}`] }],
      resource_properties: [{ name: 'department', any_of: [`department-${place}`] }],
    },
    effect: 'allow',
  })),
};

const questionOf = (index: number) => ({
  subject: { type: 'user', id: `person-${index % subjectCount}` },
  action: { name: 'read' },
  resource: { type: 'document', id: `document-${index % resourceCount}` },
});

function callsOf({ client }: Fleet, path: string, bodies: readonly object[]): Buffer[] {
  const Authorization = `Basic ${btoa(`${client.clientId}:${client.clientSecret}`)}`;
  const headers = { 'Content-Type': 'application/json', Authorization };
  return bodies.map((body) =>
    encodeCall({ method: 'POST', path, headers, body: JSON.stringify(body) }),
  );
}

function orThrow(result: LoadResult): LoadResult {
  if (result.failures > 0) throw new Error(`not what it should be: ${result.failure}`);
  return result;
}

/**
 * Access evaluations of AuthZEN over HTTP, each recorded before it is answered, alone and in batches, in turn with bare
 * calls of a Durable Object on the same runtime.
 */
export async function measureAuthzen(directory: string): Promise<Figure[]> {
  const floor = await startFloor(directory);
  const broker = await startBroker(directory);
  try {
    const fleet = await enrollFleet(broker, 1);
    const path = `/v1/admin/applications/${fleet.client.application}/access`;
    const put = await fleet.broker.admin('PUT', path, { access });
    if (!put.ok) throw new Error(`${put.status} ${await put.text()}`);
    const call = encodeCall({ method: 'POST', path: '/rpc', headers: {}, body: 'x' });
    let asked = 0;
    const next = (count: number) => Array.from({ length: count }, () => questionOf(asked++));
    const isExpected = (answer: string) => answer.includes('"decision":true');
    const ask = async (count: number) => {
      const requests = callsOf(fleet, '/access/v1/evaluation', next(count));
      return orThrow(await sendAll({ ...broker, requests, isExpected }));
    };
    const askMany = async () => {
      const bodies = Array.from({ length: batchesPerRound }, () => ({
        evaluations: next(batchSize),
      }));
      const requests = callsOf(fleet, '/access/v1/evaluations', bodies);
      return orThrow(await sendAll({ ...broker, requests, isExpected }));
    };
    await ask(warmUp);
    const isOk = (answer: string) => answer.startsWith('HTTP/1.1 200');
    const runs = await alternate(rounds, {
      floor: () =>
        sendAll({ ...floor, requests: Array(callsPerRound).fill(call), isExpected: isOk }),
      single: () => ask(callsPerRound),
      batch: askMany,
    });
    const perSecond = (results: readonly LoadResult[]) =>
      median(results.map((run) => run.perSecond));
    const ratio = (of: readonly LoadResult[], times: number) =>
      median(of.map((run, i) => (run.perSecond * times) / (runs.floor[i]?.perSecond ?? 1)));
    const cpu = median(runs.single.map((run) => run.cpuMicroseconds));
    const floorPerSecond = perSecond(runs.floor).toFixed(0);
    return [
      {
        name: 'AuthZEN evaluations/s ÷ bare Durable Object calls/s',
        value: ratio(runs.single, 1).toFixed(2),
        target: '',
        note: `${perSecond(runs.single).toFixed(0)}/s ÷ ${floorPerSecond}/s; ${cpu.toFixed(0)} µs of server CPU; ${ruleCount} rules, ${subjectCount} subjects, ${resourceCount} resources; each is on record first`,
      },
      {
        name: `the same, ${batchSize} in a request`,
        value: ratio(runs.batch, batchSize).toFixed(1),
        target: '',
        note: `${(perSecond(runs.batch) * batchSize).toFixed(0)} evaluations/s`,
      },
    ];
  } finally {
    await floor.stop();
    await broker.stop();
  }
}
