import { isDeepStrictEqual } from 'node:util';
import { type NetworkZone, networkZone, type PolicyFacts } from '@countersign/policy';
import { type Figure, median } from './figures.ts';
import {
  casbin,
  casl,
  cedar,
  countersign,
  makeTable,
  type Peer,
  platforms,
  type Question,
} from './policy-peers.ts';

const groupCount = 50;
const questionCount = 512;
const rounds = 3;
/** Of each engine and round. */
const budgetMs = 400;

function makeZones(count: number): NetworkZone[] {
  return Array.from({ length: count }, (_, i) =>
    networkZone.parse({
      zone_id: `zone-${i}`,
      name: `Zone ${i}`,
      blocks: [`10.${i >> 8}.${i & 255}.0/24`, `2001:db8:${i.toString(16)}::/48`],
    }),
  );
}

function makeQuestions(zones: readonly NetworkZone[]): Question[] {
  return Array.from({ length: questionCount }, (_, i) => {
    const place = (i * 7) % (zones.length * 2);
    const facts: PolicyFacts = {
      user: `user-${i}`,
      groups: new Set([`group-${i % groupCount}`, `group-${(i * 13) % groupCount}`, 'staff']),
      ipAddress: `10.${place >> 8}.${place & 255}.${i & 255}`,
      clientType: 'web_or_modern',
      platform: platforms[i % platforms.length],
      signedPlatform: undefined,
      deviceTrust: i % 2 === 0 ? { trusted: true } : { trusted: false, reason: 'evidence_missing' },
      channel: 'extension',
      keyProtection: 'tpm',
      enrollmentStrength: 'one_time_token',
      certificateAgeSeconds: 86_400,
      posture: {},
      atMs: 1_800_000_000_000,
    };
    return { facts, zones: place < zones.length ? [`zone-${place}`] : [] };
  });
}

async function answersOf({ decide }: Peer, questions: readonly Question[]): Promise<boolean[]> {
  const answers: boolean[] = [];
  for (const question of questions) answers.push(await decide(question));
  return answers;
}

/** Questions a second; those that answer at once are not made to wait for promises. */
async function rateOf({ decide }: Peer, questions: readonly Question[]): Promise<number> {
  const beganMs = performance.now();
  let asked = 0;
  let elapsedMs = 0;
  while (elapsedMs < budgetMs) {
    for (let i = 0; i < 64; i++) {
      const question = questions[(asked + i) % questions.length];
      if (question === undefined) continue;
      const answer = decide(question);
      if (answer instanceof Promise) await answer;
    }
    asked += 64;
    elapsedMs = performance.now() - beganMs;
  }
  return (asked / elapsedMs) * 1000;
}

const short = (perSecond: number) =>
  perSecond >= 1e6
    ? `${(perSecond / 1e6).toFixed(2)} M/s`
    : perSecond >= 1000
      ? `${(perSecond / 1000).toFixed(1)} k/s`
      : `${perSecond.toFixed(0)}/s`;

/** The same table for all; the bench refuses to compare engines that do not agree. */
async function measureTable(rules: number, zoneCount: number, withPeers: boolean) {
  const zones = makeZones(zoneCount);
  const table = makeTable(rules, groupCount, zoneCount);
  const questions = makeQuestions(zones);
  const peers = [
    countersign(table, zones),
    ...(withPeers ? [casl(table), await casbin(table), cedar(table, zones)] : []),
  ];
  const [ours = [], ...others] = await Promise.all(peers.map((peer) => answersOf(peer, questions)));
  if (others.some((answers) => !isDeepStrictEqual(answers, ours))) {
    throw new Error(`the engines disagree about ${rules} rules`);
  }
  const allowed = ours.filter(Boolean).length;
  if (allowed === 0 || allowed === ours.length) throw new Error('the table decides nothing');
  const rates = new Map<string, number[]>();
  for (let round = 0; round < rounds; round++) {
    for (const peer of peers) {
      rates.set(peer.name, [...(rates.get(peer.name) ?? []), await rateOf(peer, questions)]);
    }
  }
  return (name: string) => median(rates.get(name) ?? []);
}

/** How fast the rule that decides is found, in process. */
export async function measurePolicy(): Promise<Figure[]> {
  const [ten, hundred, thousand, manyZones] = [
    await measureTable(10, 10, true),
    await measureTable(100, 10, true),
    await measureTable(1000, 10, true),
    await measureTable(1000, 1000, false),
  ];
  const ours = (rate: (name: string) => number) => rate('countersign');
  const peer = (name: string): Figure => ({
    name: `policy evaluations/s ÷ ${name}, 1,000 rules`,
    value: `${(ours(thousand) / thousand(name)).toFixed(0)}×`,
    target: '',
    note: `${short(ten(name))}, ${short(hundred(name))}, ${short(thousand(name))} with 10, 100, 1,000 rules`,
  });
  return [
    {
      name: 'policy evaluations/s, 1,000 rules',
      value: short(ours(thousand)),
      target: '≥ 1 M/s',
      note: `${short(ours(ten))} with 10 rules, ${short(ours(hundred))} with 100; ${short(ours(manyZones))} with 1,000 rules and 1,000 zones`,
    },
    {
      name: 'the same, 1,000 rules ÷ 10 rules',
      value: (ours(thousand) / ours(ten)).toFixed(2),
      target: '≥ 0.7',
      note: 'flat would be 1',
    },
    ...['casl', 'casbin', 'cedar-wasm'].map(peer),
  ];
}
