import { hypotheticalSignIn, whatIfAnswer } from '@countersign/policy';
import { parseFields } from '@countersign/protocol/schemas';
import {
  type Command,
  type Input,
  parameterOf,
  present,
  UsageError,
} from '../command-line/command.ts';
import { parseDataFile, readGlobalPolicyFile, readPolicyFile } from './policy-files.ts';
import { whatIfSections } from './policy-sections.ts';
import { segment } from './read-input.ts';

/** What the options say, where there is no file of facts. */
function factsOf(input: Input) {
  if (input.flag('--trusted') && input.option('--untrusted') !== undefined) {
    throw new UsageError('a device is --trusted or --untrusted, not both');
  }
  const reason = input.option('--untrusted');
  const groups = input.option('--groups');
  const given = present({
    user: input.option('--user'),
    groups: groups?.split(',').filter((group) => group !== ''),
    ip_address: input.option('--address'),
    client_type: input.option('--client-type'),
    platform: input.option('--platform'),
    at: input.option('--at'),
    device: input.flag('--trusted')
      ? { trusted: true }
      : reason === undefined
        ? undefined
        : { trusted: false, reason },
  });
  const parsed = parseFields(hypotheticalSignIn, given);
  if (!parsed.ok) throw new UsageError(`${parsed.field} ${parsed.detail}`);
  return parsed.value;
}

const optionsBesideFacts = [
  '--user',
  '--groups',
  '--address',
  '--client-type',
  '--platform',
  '--at',
  '--untrusted',
];

export const whatIfCommands: readonly Command[] = [
  {
    words: ['policy', 'what-if'],
    parameters: ['APPLICATION'],
    options: {
      '--user': { value: 'USER', help: 'who signs in' },
      '--groups': { value: 'GROUPS', help: 'with commas; else those on record' },
      '--address': { value: 'ADDRESS', help: 'where from' },
      '--client-type': { value: 'TYPE', help: 'web_or_modern or legacy' },
      '--platform': { value: 'PLATFORM', help: 'macos, windows, ios, android, other_…' },
      '--trusted': { help: 'from a trusted device; else from none' },
      '--untrusted': { value: 'REASON', help: 'from one that is not trusted, for this reason' },
      '--at': { value: 'TIME', help: 'when (RFC 3339); else now' },
      '--facts': { value: 'FILE', help: 'all of it in a file, and more of the device' },
      '--draft': { value: 'FILE', help: "by this policy, not the application's" },
      '--global-draft': { value: 'FILE', help: 'by this global policy' },
    },
    help: 'Says what would become of a sign-in that is only thought of, and what each rule saw. Records nothing.',
    routes: ['POST /v1/admin/applications/:id/policy/what-if'],
    run: async (context, input) => {
      const facts = input.option('--facts');
      const beside = optionsBesideFacts.find((name) => input.option(name) !== undefined);
      if (facts !== undefined && (beside !== undefined || input.flag('--trusted'))) {
        throw new UsageError(`--facts says all of it, so leave ${beside ?? '--trusted'} out`);
      }
      const [draft, globalDraft] = [input.option('--draft'), input.option('--global-draft')];
      const body = {
        given: facts === undefined ? factsOf(input) : parseDataFile(hypotheticalSignIn, facts),
        ...(draft === undefined ? {} : { policy: readPolicyFile(draft).policy }),
        ...(globalDraft === undefined
          ? {}
          : { global_policy: readGlobalPolicyFile(globalDraft).policy }),
      };
      const path = `/v1/admin/applications/${segment(parameterOf(input, 0))}/policy/what-if`;
      const found = await context.client().ask('POST', path, whatIfAnswer, { body });
      return { json: found, sections: whatIfSections(found) };
    },
  },
];
