import {
  diffPolicies,
  globalPolicyAnswer,
  globalPolicyChange,
  globalPolicyVersions,
  policyAnswer,
  policyChange,
  policyChangeAnswer,
  policyVersions,
  simulationAnswer,
  zoneList,
} from '@countersign/policy';
import type * as z from 'zod/mini';
import type { AdminClient } from '../client/admin-client.ts';
import {
  type Command,
  type Input,
  parameterOf,
  rows,
  table,
  wholeNumber,
} from '../command-line/command.ts';
import {
  dataText,
  findTestsFile,
  parseData,
  readPolicyData,
  testPolicy,
  testsBeside,
} from './policy-files.ts';
import { differenceTable, findingTable, simulationSections } from './policy-sections.ts';
import { segment } from './read-input.ts';
import { showChange } from './show-change.ts';
import { replaceFile } from './write-output.ts';

/** Policies of a broker, as files. An application's, and the global one behind them all, are handled alike. */

/** Where a kind of policy is, and what it is read with. */
type Kind = {
  readonly word: 'policy' | 'global-policy';
  /** What names it on the command line, before the file. */
  readonly names: readonly string[];
  readonly of: string;
  readonly route: string;
  readonly path: (input: Input) => string;
  readonly answer: typeof policyAnswer | typeof globalPolicyAnswer;
  readonly versions: typeof policyVersions | typeof globalPolicyVersions;
  readonly change: typeof policyChange | typeof globalPolicyChange;
};

const applications: Kind = {
  word: 'policy',
  names: ['APPLICATION'],
  of: "an application's policy",
  route: '/v1/admin/applications/:id/policy',
  path: (input) => `/v1/admin/applications/${segment(parameterOf(input, 0))}/policy`,
  answer: policyAnswer,
  versions: policyVersions,
  change: policyChange,
};

const global: Kind = {
  word: 'global-policy',
  names: [],
  of: 'the global policy',
  route: '/v1/admin/global-policy',
  path: () => '/v1/admin/global-policy',
  answer: globalPolicyAnswer,
  versions: globalPolicyVersions,
  change: globalPolicyChange,
};

/** Of an application; the global policy knows nothing of it. */
function failOpenIn(
  found: z.infer<typeof policyAnswer> | z.infer<typeof globalPolicyAnswer>,
): string | undefined {
  const failOpen = 'fail_open' in found ? found.fail_open : undefined;
  return failOpen === undefined ? undefined : `up to ${failOpen.max_age_seconds} s`;
}

/** The networks and the global policy of the organization, which tests of a policy rest on. */
async function surroundingsOf(client: AdminClient) {
  const [{ zones }, { policy }] = await Promise.all([
    client.get('/v1/admin/zones', zoneList),
    client.get('/v1/admin/global-policy', globalPolicyAnswer),
  ]);
  return { zones, global: policy };
}

function commandsOf({ word, names, of, route, path, answer, versions, change }: Kind): Command[] {
  const fileOf = (input: Input) => parameterOf(input, names.length);
  const find = (client: AdminClient, input: Input, version: number | undefined) =>
    client.get(`${path(input)}${version === undefined ? '' : `?version=${version}`}`, answer);
  return [
    {
      words: [word, 'pull'],
      parameters: [...names, 'FILE'],
      options: { '--version': { value: 'NUMBER', help: 'an older one; to go back, push it' } },
      help: `Writes ${of} into a file, JSON or YAML by its name, which can be pushed again.`,
      routes: [`GET ${route}`],
      run: async (context, input) => {
        const client = context.client();
        const version = wholeNumber(input, '--version');
        const found = await find(client, input, version);
        const newest = version === undefined ? found : await find(client, input, undefined);
        const { version: _, ...policy } = found.policy;
        // Whoever pushes it takes the place of what there is now, and of nothing newer.
        const file = { policy, comment: '', expected_version: newest.policy.version };
        replaceFile(fileOf(input), dataText(fileOf(input), file));
        return {
          json: found,
          sections: [
            rows(
              ['version', String(found.policy.version)],
              ['made from', found.source],
              ['author', found.author || undefined],
              ['comment', found.comment || undefined],
              ['rules', String(policy.rules.length)],
              ['fail-open', failOpenIn(found)],
            ),
          ],
        };
      },
    },
    {
      words: [word, 'push'],
      parameters: [...names, 'FILE'],
      options: {
        '--tests': { value: 'FILE', help: 'run before; else crm.tests.yaml of crm.json' },
      },
      help: `Makes ${of} the one in a file, once its tests have passed, unless somebody has changed it since it was pulled.`,
      routes: [`PUT ${route}`],
      run: async (context, input) => {
        const file = fileOf(input);
        const tests = findTestsFile(file, input.option('--tests'));
        const body = readPolicyData(file);
        const client = context.client();
        let tested = `none: there is no ${testsBeside(file)[0]}`;
        if (tests !== undefined) {
          const { policy } = parseData(change, file, body);
          const surroundings = await surroundingsOf(client);
          const passed = testPolicy(file, policy, tests, surroundings, context.nowMs());
          tested = `${passed} passed`;
        }
        const changed = await client.ask('PUT', path(input), policyChangeAnswer, { body });
        return showChange(changed, [
          rows(['tests', tested]),
          ...(changed.findings.length === 0 ? [] : [findingTable(changed.findings)]),
        ]);
      },
    },
    {
      words: [word, 'diff'],
      parameters: [...names, 'FILE'],
      options: { '--version': { value: 'NUMBER', help: 'against an older one' } },
      help: `Says what differs between ${of}, as it is in force, and a file. Changes nothing.`,
      routes: [`GET ${route}`],
      run: async (context, input) => {
        const file = fileOf(input);
        const { policy } = parseData(change, file, readPolicyData(file));
        const found = await find(context.client(), input, wholeNumber(input, '--version'));
        const { version, ...before } = found.policy;
        const differences = diffPolicies(before, policy);
        return {
          json: { version, differences },
          sections: [rows(['version', String(version)]), differenceTable(differences)],
        };
      },
    },
    {
      words: [word, 'simulate'],
      parameters: [...names, 'FILE'],
      options: { '--days': { value: 'NUMBER', help: 'of so many days until now; else 7' } },
      help: 'Says what the policy in a file would have made of the sign-ins of the last days. Changes nothing.',
      routes: [`POST ${route}/simulate`],
      run: async (context, input) => {
        const days = wholeNumber(input, '--days') ?? 7;
        const since = new Date(context.nowMs() - days * 86_400_000).toISOString();
        const body = { ...readPolicyData(fileOf(input)), since };
        const found = await context
          .client()
          .ask('POST', `${path(input)}/simulate`, simulationAnswer, { body });
        return { json: found, sections: simulationSections(found) };
      },
    },
    {
      words: [word, 'versions'],
      parameters: names,
      help: `Lists every version of ${of}.`,
      routes: [`GET ${route}/versions`],
      run: async (context, input) => {
        const list = await context.client().get(`${path(input)}/versions`, versions);
        const found = list.versions.map((each) => [
          String(each.version),
          // Nobody has made the one that is there until somebody does.
          each.source === 'built_in' ? '-' : each.created_at,
          each.author || '-',
          each.source,
          String(each.rules),
          each.comment,
        ]);
        const columns = ['version', 'created', 'author', 'made from', 'rules', 'comment'];
        return { json: list, sections: [table(columns, found)] };
      },
    },
  ];
}

export const policyCommands: readonly Command[] = [
  ...commandsOf(applications),
  ...commandsOf(global),
];
