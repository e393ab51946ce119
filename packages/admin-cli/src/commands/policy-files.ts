import { existsSync } from 'node:fs';
import {
  type ApplicationPolicy,
  effectivePolicy,
  globalPolicyChange,
  isGlobalRuleId,
  leavesToGlobal,
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
import { parse, stringify, YAMLParseError } from 'yaml';
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
    if (error instanceof YAMLParseError) {
      const [first = 'it cannot be read'] = error.message.split('\n');
      throw new CommandError(`${path} is not YAML: ${first}`);
    }
    throw error;
  }
  if (typeof found !== 'object' || found === null || Array.isArray(found)) {
    throw new CommandError(`${path} is not a YAML mapping`);
  }
  return found;
}

export const dataText = (path: string, value: object) =>
  isYaml(path) ? stringify(value) : `${JSON.stringify(value, undefined, 2)}\n`;

export function parseDataFile<Schema extends z.ZodMiniType>(
  schema: Schema,
  path: string,
): z.infer<Schema> {
  const parsed = parseFields(schema, readDataFile(path));
  if (!parsed.ok) throw new CommandError(`${path}: ${parsed.field} ${parsed.detail}`);
  return parsed.value;
}

/** A file that an application can be given. */
export const readPolicyFile = (path: string) => parseDataFile(policyChange, path);
export const readGlobalPolicyFile = (path: string) => parseDataFile(globalPolicyChange, path);

/** What may not be meant; what is wrong is a failure. `global`: what the policy leaves something to, where it is known. */
export function lintFile(
  path: string,
  policy: Omit<ApplicationPolicy, 'version'>,
  global?: PolicyDocument,
): PolicyFinding[] {
  const whole = global === undefined ? policy : effectivePolicy({ version: 0, ...policy }, global);
  const findings = lintPolicy(whole).filter(
    ({ rule }) => rule === undefined || !isGlobalRuleId(rule),
  );
  const mistakes = findings.filter(({ severity }) => severity === 'error');
  if (mistakes.length > 0) {
    const told = mistakes.map(({ rule, code, detail }) => `${rule}: ${detail} (${code})`);
    throw new CommandError(`${path}: ${told.join('; ')}`);
  }
  return findings;
}

/** The tests of a policy: a file that is named, or else the one beside it: of `crm.json`, `crm.tests.yaml`. */
export function findTestsFile(policyPath: string, named: string | undefined): string | undefined {
  if (named !== undefined) return named;
  const beside = `${policyPath.replace(/\.(json|ya?ml)$/, '')}.tests.yaml`;
  return policyPath !== '-' && existsSync(beside) ? beside : undefined;
}

/** What a policy is tested with beside itself. */
export type Surroundings = {
  readonly global: PolicyDocument | undefined;
  /** Of the organization; tests may name their own. */
  readonly zones: Zones;
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
  { global, zones: others }: Surroundings,
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
  const zones = zonesOfTests(tests, others);
  checkZones(testsPath, whole, zones);
  const failed = runPolicyTests(whole, tests, zones, nowMs);
  if (failed.length > 0) {
    const told = failed.map(
      ({ name, member, wanted, found, outcome }) =>
        `  ${name}: ${member} was to be ${wanted} and is ${found} (rule ${outcome.rule}, ${outcome.reason})`,
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
