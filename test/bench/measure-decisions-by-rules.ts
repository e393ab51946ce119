import { randomText, type TestClient } from '@countersign/testkit/broker-client';
import { alternate, type Figure, median, percentile } from './figures.ts';
import { enrollFleet, type Fleet, userOf } from './prepared-sign-ins.ts';
import { encodeCall, sendAll } from './send-all.ts';
import { startBroker } from './workerd-direct.ts';

const sizes = { few: 10, many: 1000 } as const;
type Size = keyof typeof sizes;

const fleetSize = 100;
const groupCount = 50;
const zoneCount = 10;
const signInsPerSecond = 60;
const warmUpSeconds = 3;
const measuredSeconds = 30;
const decisionsPerRound = 1500;
const rounds = 3;

const platforms = ['macos', 'windows'] as const;

/** For groups, networks and platforms; the last rule is the one that lets people in, so that all come before it. */
function rulesOf(count: number): object[] {
  const others = Array.from({ length: count - 1 }, (_, place) => ({
    id: `rule-${place}`,
    when: {
      people: { groups: [`group-${place % groupCount}`] },
      network: { zones: [`zone-${place % zoneCount}`] },
      platforms: [platforms[place % platforms.length]],
      device_trust: 'trusted',
      posture: { minimum_os_version: { macos: `99.${place}`, windows: `99.${place}` } },
    },
    effect: 'deny',
  }));
  return [...others, { id: 'trusted', when: { device_trust: 'trusted' }, effect: 'allow' }];
}

async function ask({ broker }: Fleet, method: 'PUT' | 'POST', path: string, body: object) {
  const response = await broker.admin(method, path, body);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response;
}

/** A client for each size, whose application has so many rules. */
async function registerClients(fleet: Fleet): Promise<Record<Size, TestClient>> {
  for (let zone = 0; zone < zoneCount; zone++) {
    const input = { name: `Zone ${zone}`, on_network: false, blocks: [`10.0.${zone}.0/24`] };
    await ask(fleet, 'PUT', `/v1/admin/zones/zone-${zone}`, input);
  }
  for (let group = 0; group < groupCount; group++) {
    const members = Array.from({ length: fleetSize }, (_, index) => index)
      .filter((index) => index % groupCount === group)
      .map(userOf);
    await ask(fleet, 'PUT', `/v1/admin/groups/group-${group}`, { name: `${group}`, members });
  }
  const register = async (size: Size) => {
    const client = await fleet.broker.registerClient({ name: `rules-${size}` });
    const policy = { enforcement: 'enforce', rules: rulesOf(sizes[size]), otherwise: 'deny' };
    await ask(fleet, 'PUT', `/v1/admin/applications/${client.application}/policy`, { policy });
    return client;
  };
  return { few: await register('few'), many: await register('many') };
}

/** The body of a sign-in that has never been sent, from one of the networks. */
async function prepareBody(fleet: Fleet, client: TestClient, index: number) {
  const number = index % fleetSize;
  const device = fleet.devices[number];
  if (device === undefined) throw new Error('no devices');
  const transaction = randomText();
  const challenge = await fleet.broker.challenge(client, transaction);
  const evidence = await device.evidence(challenge, client.origin);
  const subject = userOf(number);
  const body = fleet.broker.evaluationBody(client, { subject, transaction, evidence });
  const told = { ip_address: `10.0.${number % zoneCount}.7`, platform: platforms[number % 2] };
  return { ...body, context: { ...body.context, ...told } };
}

/** Open loop, by turns to the two applications: the time from sending the evidence to the decision, of each. */
async function latencies(fleet: Fleet, clients: Record<Size, TestClient>) {
  const found: Record<Size, number[]> = { few: [], many: [] };
  const startedAt = performance.now();
  const total = signInsPerSecond * (warmUpSeconds + measuredSeconds);
  const signIn = async (index: number) => {
    const size = index % 2 === 0 ? 'few' : 'many';
    const client = clients[size];
    const body = await prepareBody(fleet, client, index >> 1);
    const sentAt = performance.now();
    const response = await fleet.broker.sendEvaluation(client, body);
    const text = await response.text();
    if (!text.includes('"decision":true')) throw new Error(`denied: ${text}`);
    if (index >= signInsPerSecond * warmUpSeconds) found[size].push(performance.now() - sentAt);
  };
  const running: Promise<void>[] = [];
  for (let index = 0; index < total; index++) {
    const wait = startedAt + (index * 1000) / signInsPerSecond - performance.now();
    if (wait > 0) await new Promise((done) => setTimeout(done, wait));
    running.push(signIn(index));
  }
  await Promise.all(running);
  return found;
}

async function prepareCalls(fleet: Fleet, client: TestClient, count: number): Promise<Buffer[]> {
  const calls: Buffer[] = [];
  const lanes = 8;
  const Authorization = `Basic ${btoa(`${client.clientId}:${client.clientSecret}`)}`;
  const headers = { 'Content-Type': 'application/json', Authorization };
  await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      for (let index = lane; index < count; index += lanes) {
        const body = JSON.stringify(await prepareBody(fleet, client, index));
        calls.push(encodeCall({ method: 'POST', path: '/access/v1/evaluation', headers, body }));
      }
    }),
  );
  return calls;
}

/** Whole decisions with 10 and with 1,000 rules. */
export async function measureDecisionsByRules(directory: string): Promise<Figure[]> {
  const broker = await startBroker(directory);
  try {
    const fleet = await enrollFleet(broker, fleetSize);
    const clients = await registerClients(fleet);
    const isExpected = (answer: string) => answer.includes('"decision":true');
    const send = async (size: Size) => {
      const requests = await prepareCalls(fleet, clients[size], decisionsPerRound);
      const sent = await sendAll({ ...broker, requests, isExpected });
      if (sent.failures > 0) throw new Error(`not allowed: ${sent.failure}`);
      return sent.cpuMicroseconds;
    };
    const ms = await latencies(fleet, clients);
    const cpu = await alternate(rounds, { few: () => send('few'), many: () => send('many') });
    const [fewP99, manyP99] = [percentile(ms.few, 0.99), percentile(ms.many, 0.99)];
    const p50 = (size: Size) => percentile(ms[size], 0.5).toFixed(1);
    const [fewCpu, manyCpu] = [median(cpu.few), median(cpu.many)];
    return [
      {
        name: 'p99 of a whole decision, 1,000 rules ÷ 10 rules',
        value: (manyP99 / fewP99).toFixed(2),
        target: '1',
        note: `${manyP99.toFixed(1)} ms ÷ ${fewP99.toFixed(1)} ms; p50 ${p50('many')} and ${p50('few')} ms; ${ms.few.length} sign-ins each, by turns`,
      },
      {
        name: 'server CPU of a whole decision, 1,000 rules ÷ 10 rules',
        value: (manyCpu / fewCpu).toFixed(2),
        target: '1',
        note: `${manyCpu.toFixed(0)} µs ÷ ${fewCpu.toFixed(0)} µs`,
      },
    ];
  } finally {
    await broker.stop();
  }
}
