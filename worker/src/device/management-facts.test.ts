import { expect, it } from 'vitest';
import { integrationStandings } from '../policy/integration-standing.ts';
import { countingReport, type ManagementFacts, readManagement } from './management-facts.ts';

const nowMs = 1_800_000_000_000;
const dayMs = 86_400_000;

const told = (reported_at_ms: number, integration_id = 'int_1'): ManagementFacts => ({
  integration_id,
  checked_at_ms: nowMs,
  posture: { reported_at_ms, disk_encryption: true },
});

const standings = (days: number, mode: 'all_users' | 'disabled' = 'all_users') =>
  integrationStandings(
    {
      integrations: new Map([
        [
          'int_1',
          {
            state: { mode },
            trust_shared_secret: false,
            max_check_in_age_seconds: days * 86_400,
          },
        ],
      ]),
      groups: new Map(),
      deviceTrustEnabled: true,
    },
    'ada',
  );

it.each<[string, ManagementFacts, ReturnType<typeof standings>, boolean]>([
  ['of now', told(nowMs), standings(30), true],
  ['of fourteen days ago', told(nowMs - 14 * dayMs), standings(30), true],
  ['of longer ago', told(nowMs - 14 * dayMs - 1), standings(30), false],
  ['as old as the integration lets check-ins be', told(nowMs - dayMs), standings(1), true],
  ['older than that', told(nowMs - dayMs - 1), standings(1), false],
  ['of a day that is to come', told(nowMs + dayMs), standings(30), true],
  ['of a time that no clock comes to', told(nowMs + 400 * dayMs), standings(30), false],
  ['of an integration that was deleted', told(nowMs, 'int_2'), standings(30), false],
  ['of none', told(nowMs - 1, ''), standings(30), false],
  ['of one that is disabled', told(nowMs), standings(30, 'disabled'), false],
])('counts a report %s: %#', (_, facts, integrations, counts) => {
  const report = countingReport(facts, integrations, nowMs);
  expect(report).toEqual(counts ? facts.posture : undefined);
});

it('reads what was stored before managements reported posture', () => {
  const facts = readManagement('{"integration_id":"int_1","checked_at_ms":1}');
  expect(facts).toEqual({ integration_id: 'int_1', checked_at_ms: 1 });
  expect(countingReport(facts, standings(30), nowMs)).toBe(undefined);
  expect(countingReport(readManagement(null), standings(30), nowMs)).toBe(undefined);
});
