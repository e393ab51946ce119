import { existsSync } from 'node:fs';
import {
  type ApplicationPolicy,
  effectivePolicy,
  globalPolicyChange,
  leavesToGlobal,
  lintBoth,
  lintPolicy,
  type PolicyDocument,
  type PolicyFinding,
  policyChange,
  policyTests,
  runPolicyTests,
  type Zones,
  zonesOfTests,
} from '@countersign/policy';
import { parseFields } from '@countersign/protocol/schemas';
import { parse, stringify } from 'yaml';
import type * as z from 'zod/mini';
import { CommandError } from '../command-line/command.ts';
import { readJsonFile, readTextFile } from './read-input.ts';

/** Policies, their tests and sign-ins that are thought of, as files: JSON or YAML, by the name's ending. */

const isYaml = (path: string) => /\.ya?ml$/.test(path);

/** The object in a file of either kind. */
export function readDataFile(path: string): object {
  if (!isYaml(path)) return readJsonFile(path);
  let found: unknown;
  try {
    found = parse(readTextFile(path));
  } catch (error) {
    if (error instanceof CommandError) throw error;
    // Beside its own errors it throws others: for an alias of nothing, for one that would be endless.
    const [first] = String(error instanceof Error ? error.message : error).split('\n');
    throw new CommandError(`${path} is not YAML: ${first}`);
  }
  if (typeof found !== 'object' || found === null || Array.isArray(found)) {
    throw new CommandError(`${path} is not a YAML mapping`);
  }
  return found;
}

export const dataText = (path: string, value: object) =>
  isYaml(path) ? stringify(value) : `${JSON.stringify(value, undefined, 2)}\n`;

/** `path` is for what is told of it. */
export function parseData<Schema extends z.ZodMiniType>(
  schema: Schema,
  path: string,
  data: object,
): z.infer<Schema> {
  const parsed = parseFields(schema, data);
  if (!parsed.ok) throw new CommandError(`${path}: ${parsed.field} ${parsed.detail}`);
  return parsed.value;
}

export const parseDataFile = <Schema extends z.ZodMiniType>(schema: Schema, path: string) =>
  parseData(schema, path, readDataFile(path));

/** Editors find a file's schema by a member of that name, which is none of the policy's. */
export function readPolicyData(path: string): object {
  const { $schema: _, ...data }: { $schema?: unknown } = { ...readDataFile(path) };
  return data;
}

/** A file that an application can be given. */
export const readPolicyFile = (path: string) => parseData(policyChange, path, readPolicyData(path));
export const readGlobalPolicyFile = (path: string) =>
  parseData(globalPolicyChange, path, readPolicyData(path));

/** What may not be meant; what is wrong is a failure. `global`: what the policy leaves something to, where it is known. */
export function lintFile(
  path: string,
  policy: Omit<ApplicationPolicy, 'version'>,
  global: PolicyDocument | undefined,
): PolicyFinding[] {
  const own = { version: 0, ...policy };
  const findings = global === undefined ? lintPolicy(own) : lintBoth(own, global);
  const mistakes = findings.filter(({ severity }) => severity === 'error');
  if (mistakes.length > 0) {
    const told = mistakes.map(({ rule, code, detail }) => `${rule}: ${detail} (${code})`);
    throw new CommandError(`${path}: ${told.join('; ')}`);
  }
  return findings;
}

/** Where the tests of a policy are looked for: those of `crm.json` are in `crm.tests.yaml`, or in one of the others. */
export const testsBeside = (policyPath: string): readonly string[] =>
  ['yaml', 'yml', 'json'].map(
    (ending) => `${policyPath.replace(/\.(json|ya?ml)$/, '')}.tests.${ending}`,
  );

/** The tests of a policy: a file that is named, or else the one beside it. */
export const findTestsFile = (policyPath: string, named: string | undefined): string | undefined =>
  named ?? testsBeside(policyPath).find((path) => policyPath !== '-' && existsSync(path));

/** What a policy is tested with beside itself. */
export type Surroundings = {
  readonly global: PolicyDocument | undefined;
  /** Of the organization, where it was asked; otherwise tests name their own. */
  readonly zones: Zones | undefined;
};

function checkZones(path: string, policy: PolicyDocument, zones: Zones): void {
  const known = new Set(zones.map(({ zone_id }) => zone_id));
  const named = policy.rules.flatMap(({ when: { network } }) => [
    ...(network?.zones ?? []),
    ...(network?.except_zones ?? []),
  ]);
  const unknown = named.find((zone) => !known.has(zone));
  if (unknown !== undefined) {
    throw new CommandError(`${path}: zones does not say which addresses ${unknown} has`);
  }
}

/** Runs a policy's tests. @returns how many there are; throws where one comes out otherwise */
export function testPolicy(
  policyPath: string,
  policy: Omit<ApplicationPolicy, 'version'>,
  testsPath: string,
  { global, zones: real }: Surroundings,
  nowMs: number,
): number {
  const tests = parseDataFile(policyTests, testsPath);
  const own = { version: 0, ...policy };
  if (global === undefined && leavesToGlobal(own)) {
    throw new CommandError(
      `${policyPath} leaves something to the global policy: name its file with --global`,
    );
  }
  const whole = effectivePolicy(own, global ?? emptyGlobal);
  const zones = real ?? zonesOfTests(tests);
  checkZones(testsPath, whole, zones);
  const failed = runPolicyTests(whole, tests, zones, nowMs);
  if (failed.length > 0) {
    const told = failed.map(
      ({ name, member, wanted, found, outcome }) =>
        `  ${name}: ${member} was to be ${wanted} and is ${found} (rule ${outcome.rule}, ${outcome.reason}${outcome.uncertain ? ', and something that matters is not said' : ''})`,
    );
    throw new CommandError(
      [`${testsPath}: ${failed.length} of ${tests.tests.length} tests failed`, ...told].join('\n'),
    );
  }
  return tests.tests.length;
}

/** For policies that leave nothing to it. */
const emptyGlobal: PolicyDocument = {
  version: 0,
  enforcement: 'enforce',
  rules: [],
  otherwise: 'deny',
};
