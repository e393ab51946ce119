import {
  globalPolicyChange,
  type PolicyFinding,
  policyChange,
  policyTemplates,
  policyTests,
} from '@countersign/policy';
import * as z from 'zod/mini';
import {
  type Command,
  CommandError,
  type Input,
  lines,
  parameterOf,
  rows,
  UsageError,
} from '../command-line/command.ts';
import {
  dataText,
  findTestsFile,
  lintFile,
  readGlobalPolicyFile,
  readPolicyFile,
  testPolicy,
  testsBeside,
} from './policy-files.ts';
import { findingTable } from './policy-sections.ts';
import { replaceFile } from './write-output.ts';

/** What is done with files of policies alone, before any broker is asked. */

const schemas = { policy: policyChange, global: globalPolicyChange, tests: policyTests } as const;
const schemaKinds = ['policy', 'global', 'tests'] as const;

/** A policy file may name its own schema. */
const withSchemaMember = ({ properties, ...schema }: z.core.JSONSchema.BaseSchema) => ({
  ...schema,
  properties: { $schema: { type: 'string' }, ...properties },
});

const templateNames = Object.keys(policyTemplates);

/** The global policy in a file that an option names. */
function globalIn(input: Input) {
  const file = input.option('--global');
  return file === undefined ? undefined : { version: 0, ...readGlobalPolicyFile(file).policy };
}

export const offlinePolicyCommands: readonly Command[] = [
  {
    words: ['policy', 'lint'],
    parameters: ['FILE'],
    options: { '--global': { value: 'FILE', help: 'the global policy, with which together' } },
    help: 'Says what is wrong with the policy in a file, and what may not be meant. Asks no broker.',
    routes: [],
    run: async (_, input) => {
      const file = parameterOf(input, 0);
      const { policy } = readPolicyFile(file);
      const findings: readonly PolicyFinding[] = lintFile(file, policy, globalIn(input));
      return { json: { findings }, sections: [findingTable(findings)] };
    },
  },
  {
    words: ['policy', 'test'],
    parameters: ['FILE'],
    options: {
      '--tests': { value: 'FILE', help: 'else crm.tests.yaml of crm.json' },
      '--global': { value: 'FILE', help: 'the global policy, where something is left to it' },
    },
    help: 'Runs the tests of the policy in a file, as push does before it pushes. Asks no broker.',
    routes: [],
    run: async (context, input) => {
      const file = parameterOf(input, 0);
      const tests = findTestsFile(file, input.option('--tests'));
      if (tests === undefined) {
        throw new UsageError(`there is no ${testsBeside(file)[0]}: name the tests with --tests`);
      }
      const surroundings = { zones: undefined, global: globalIn(input) };
      const { policy } = readPolicyFile(file);
      const passed = testPolicy(file, policy, tests, surroundings, context.nowMs());
      return { json: { passed }, sections: [rows(['tests', `${passed} passed`])] };
    },
  },
  {
    words: ['policy', 'template'],
    parameters: ['NAME', 'FILE'],
    help: `Writes a policy to begin with into a file: ${templateNames.join(', ')}.`,
    routes: [],
    run: async (_, input) => {
      const [name, file] = [parameterOf(input, 0), parameterOf(input, 1)];
      const template = Object.hasOwn(policyTemplates, name) ? policyTemplates[name] : undefined;
      if (template === undefined) {
        throw new UsageError(`there is no template ${name}: ${templateNames.join(', ')}`);
      }
      const { about, policy } = template;
      replaceFile(file, dataText(file, { policy, comment: about }));
      return { json: { policy }, sections: [lines(about)] };
    },
  },
  {
    words: ['policy', 'schema'],
    parameters: ['FILE'],
    options: { '--of': { value: 'KIND', help: `${schemaKinds.join(', ')}; else policy` } },
    help: 'Writes the JSON schema of policy files into a file, for editors that check while you type.',
    routes: [],
    run: async (_, input) => {
      const file = parameterOf(input, 0);
      if (!file.endsWith('.json')) throw new CommandError(`${file}: its name must end in .json`);
      const asked = input.option('--of') ?? 'policy';
      const kind = schemaKinds.find((each) => each === asked);
      if (kind === undefined) throw new UsageError(`there is no schema of ${asked}`);
      const schema = z.toJSONSchema(schemas[kind], { io: 'input', unrepresentable: 'any' });
      const open = kind === 'tests' ? schema : withSchemaMember(schema);
      replaceFile(file, dataText(file, open));
      return { json: open, sections: [lines('Written.')] };
    },
  },
];
