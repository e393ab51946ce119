import {
  lintPolicy,
  type PolicyFinding,
  policyAnswer,
  policyChange,
  policyChangeAnswer,
  policyTemplates,
  policyVersions,
  simulationAnswer,
  zoneList,
} from '@countersign/policy';
import { changeAnswer } from '@countersign/protocol/admin';
import { parseFields } from '@countersign/protocol/schemas';
import type * as z from 'zod/mini';
import {
  type Command,
  CommandError,
  type Input,
  lines,
  parameterOf,
  rows,
  type Section,
  table,
  UsageError,
  wholeNumber,
} from '../command-line/command.ts';
import { anything, readJsonFile, segment } from './read-input.ts';
import { showChange } from './show-change.ts';
import { replaceFile } from './write-output.ts';

/** Policies as files, and the networks that they name. */

const policyPath = (input: Input) =>
  `/v1/admin/applications/${segment(parameterOf(input, 0))}/policy`;
const zonePath = (input: Input) => `/v1/admin/zones/${segment(parameterOf(input, 0))}`;

const templateNames = Object.keys(policyTemplates);

const findingTable = (findings: readonly PolicyFinding[]) =>
  table(
    ['rule', 'finding', 'what'],
    findings.map(({ rule, code, detail }) => [rule ?? '-', code, detail]),
    'Nothing to say.',
  );

function simulationSections(found: z.infer<typeof simulationAnswer>): Section[] {
  const countsOf = (counts: Pick<typeof found, 'newly_denied' | 'newly_asked' | 'newly_allowed'>) =>
    [counts.newly_denied, counts.newly_asked, counts.newly_allowed].map(String);
  return [
    lines(
      `Of ${found.decisions} sign-ins ${found.unchanged} would have ended alike. ${found.newly_denied} by ${found.users_newly_denied} people would have been denied, ${found.newly_asked} asked for a factor, ${found.newly_allowed} allowed, that were not.`,
      ...(found.complete ? [] : ['There are more: take fewer days.']),
    ),
    table(
      ['rule', 'sign-ins', 'newly denied', 'newly asked', 'newly allowed'],
      found.rules.map((rule) => [rule.rule, String(rule.decisions), ...countsOf(rule)]),
      'There are none.',
    ),
    table(
      ['change', 'user', 'when', 'rule before', 'rule after', 'reason after', 'decision'],
      found.examples.map((one) => [
        one.change,
        one.user,
        one.recorded_at,
        one.rule_before,
        one.rule_after,
        one.reason_after,
        one.decision_id,
      ]),
      'Nothing would have changed.',
    ),
  ];
}

export const policyCommands: readonly Command[] = [
  {
    words: ['policy', 'pull'],
    parameters: ['APPLICATION', 'FILE'],
    options: { '--version': { value: 'NUMBER', help: 'an older one; to go back, push it' } },
    help: "Writes an application's policy into a file, which can be pushed again.",
    routes: ['GET /v1/admin/applications/:id/policy'],
    run: async (context, input) => {
      const client = context.client();
      const version = wholeNumber(input, '--version');
      const query = version === undefined ? '' : `?version=${version}`;
      const found = await client.get(`${policyPath(input)}${query}`, policyAnswer);
      const newest = query === '' ? found : await client.get(policyPath(input), policyAnswer);
      const { version: _, ...policy } = found.policy;
      // Whoever pushes it takes the place of what there is now, and of nothing newer.
      const file = { policy, comment: '', expected_version: newest.policy.version };
      replaceFile(parameterOf(input, 1), `${JSON.stringify(file, undefined, 2)}\n`);
      return {
        json: found,
        sections: [
          rows(
            ['version', String(found.policy.version)],
            ['made from', found.source],
            ['author', found.author],
            ['comment', found.comment],
            ['rules', String(policy.rules.length)],
            ['fail-open', found.fail_open && `up to ${found.fail_open.max_age_seconds} s`],
          ),
        ],
      };
    },
  },
  {
    words: ['policy', 'push'],
    parameters: ['APPLICATION', 'FILE'],
    help: 'Gives an application the policy of a file, unless somebody has changed it since it was pulled.',
    routes: ['PUT /v1/admin/applications/:id/policy'],
    run: async (context, input) => {
      const body = readJsonFile(parameterOf(input, 1));
      const client = context.client();
      const answer = await client.ask('PUT', policyPath(input), policyChangeAnswer, { body });
      return showChange(
        answer,
        answer.findings.length === 0 ? [] : [findingTable(answer.findings)],
      );
    },
  },
  {
    words: ['policy', 'lint'],
    parameters: ['FILE'],
    help: 'Says what is wrong with the policy in a file, and what may not be meant. Asks no broker.',
    routes: [],
    run: async (_, input) => {
      const file = parameterOf(input, 0);
      const parsed = parseFields(policyChange, readJsonFile(file));
      if (!parsed.ok) throw new CommandError(`${file}: ${parsed.field} ${parsed.detail}`);
      const findings = lintPolicy(parsed.value.policy);
      const mistakes = findings.filter(({ severity }) => severity === 'error');
      if (mistakes.length > 0) {
        const told = mistakes.map(({ rule, code, detail }) => `${rule}: ${detail} (${code})`);
        throw new CommandError(`${file}: ${told.join('; ')}`);
      }
      return { json: { findings }, sections: [findingTable(findings)] };
    },
  },
  {
    words: ['policy', 'template'],
    parameters: ['NAME', 'FILE'],
    help: `Writes a policy to begin with into a file: ${templateNames.join(' or ')}.`,
    routes: [],
    run: async (_, input) => {
      const [name, file] = [parameterOf(input, 0), parameterOf(input, 1)];
      const template = Object.hasOwn(policyTemplates, name) ? policyTemplates[name] : undefined;
      if (template === undefined) {
        throw new UsageError(`there is no template ${name}: ${templateNames.join(', ')}`);
      }
      const { about, policy } = template;
      replaceFile(file, `${JSON.stringify({ policy, comment: about }, undefined, 2)}\n`);
      return { json: { policy }, sections: [lines(about)] };
    },
  },
  {
    words: ['policy', 'simulate'],
    parameters: ['APPLICATION', 'FILE'],
    options: { '--days': { value: 'NUMBER', help: 'of so many days until now; else 7' } },
    help: 'Says what the policy in a file would have made of the sign-ins of the last days. Changes nothing.',
    routes: ['POST /v1/admin/applications/:id/policy/simulate'],
    run: async (context, input) => {
      const days = wholeNumber(input, '--days') ?? 7;
      const since = new Date(Date.now() - days * 86_400_000).toISOString();
      const file = readJsonFile(parameterOf(input, 1));
      const body = { ...anything.parse(file), since };
      const path = `${policyPath(input)}/simulate`;
      const found = await context.client().ask('POST', path, simulationAnswer, { body });
      return { json: found, sections: simulationSections(found) };
    },
  },
  {
    words: ['policy', 'versions'],
    parameters: ['APPLICATION'],
    help: "Lists every version of an application's policy.",
    routes: ['GET /v1/admin/applications/:id/policy/versions'],
    run: async (context, input) => {
      const list = await context.client().get(`${policyPath(input)}/versions`, policyVersions);
      const found = list.versions.map((each) => [
        String(each.version),
        each.created_at,
        each.author || '-',
        each.source,
        String(each.rules),
        each.comment,
      ]);
      const columns = ['version', 'created', 'author', 'made from', 'rules', 'comment'];
      return { json: list, sections: [table(columns, found)] };
    },
  },
  {
    words: ['zones', 'list'],
    help: 'Lists named networks.',
    routes: ['GET /v1/admin/zones'],
    run: async (context) => {
      const list = await context.client().get('/v1/admin/zones', zoneList);
      const found = list.zones.map((each) => [
        each.zone_id,
        each.on_network ? 'yes' : 'no',
        each.blocks.join(' '),
        each.name,
      ]);
      return {
        json: list,
        sections: [table(['zone', 'on network', 'blocks', 'name'], found, 'There are none.')],
      };
    },
  },
  {
    words: ['zones', 'set'],
    parameters: ['ZONE', 'FILE'],
    help: 'Makes a named network, or changes it, from a JSON file.',
    routes: ['PUT /v1/admin/zones/:id'],
    run: async (context, input) => {
      const body = readJsonFile(parameterOf(input, 1));
      return showChange(await context.client().ask('PUT', zonePath(input), changeAnswer, { body }));
    },
  },
  {
    words: ['zones', 'delete'],
    parameters: ['ZONE'],
    help: 'Deletes a network that no policy names.',
    routes: ['DELETE /v1/admin/zones/:id'],
    run: async (context, input) => {
      const answer = await context.client().ask('DELETE', zonePath(input), anything);
      return { json: answer, sections: [lines('Deleted.')] };
    },
  },
];
