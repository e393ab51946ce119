import {
  type DirectoryImport,
  directoryAnswer,
  directoryImportAnswer,
  subjectAttributes,
} from '@countersign/protocol/admin-directory';
import type * as z from 'zod/mini';
import { BrokerRefusal } from '../client/admin-client.ts';
import {
  type Command,
  CommandError,
  type Context,
  lines,
  parameterOf,
  present,
  rows,
  type Shown,
  table,
  wholeNumber,
} from '../command-line/command.ts';
import { readTextFile } from './read-input.ts';
import { type ReadPeople, readPeople } from './read-people.ts';

const path = '/v1/admin/directory';
const importPath = `${path}/import`;
const hourSeconds = 3600;

type Stop = z.infer<typeof directoryAnswer>['stopped'][number];

const scopeOf = ({ group_id }: Stop) => (group_id === undefined ? 'users' : `group ${group_id}`);

function showDirectory(answer: z.infer<typeof directoryAnswer>): Shown {
  const { users, removals } = answer;
  const hours = answer.period_seconds / hourSeconds;
  const kept = answer.stopped.flatMap((stop) => stop.user_ids.map((id) => [id, scopeOf(stop)]));
  const limit = `${answer.max_removals} people or ${answer.max_removals_percent} % in ${hours} h`;
  return {
    json: answer,
    sections: [
      rows(
        ['user id is', answer.subject],
        ['users', `${users.total}, of them active ${users.active}`],
        ['groups', String(answer.groups)],
        ['quota', limit],
        ['removed', `${removals.counted} of ${removals.allowed}`],
      ),
      table(
        ['stopped', 'since', 'refused'],
        answer.stopped.map((stop) => [scopeOf(stop), stop.since, String(stop.refused)]),
        'Nothing is stopped.',
      ),
      // A stop of an older broker says nobody.
      ...(kept.length === 0 ? [] : [table(['not removed', 'from'], kept)]),
    ],
    ...(answer.stopped.length === 0 ? {} : { failed: true as const }),
  };
}

/** So many people in one request keep the broker busy for less than a second. */
const peoplePerRequest = 5_000;

type ImportAnswer = z.infer<typeof directoryImportAnswer>;

/** Sends people; a refusal names the line that it is about. */
async function send(
  context: Context,
  { users, lines: lineOf }: ReadPeople,
  settings: Omit<DirectoryImport, 'users'>,
): Promise<ImportAnswer> {
  try {
    const body = { users, ...settings };
    return await context.client().ask('PUT', importPath, directoryImportAnswer, { body });
  } catch (error) {
    if (!(error instanceof BrokerRefusal)) throw error;
    const [, index, column] = /^users\.(\d+)\.(\w+)/.exec(error.problem.field ?? '') ?? [];
    if (index === undefined) throw error;
    const line = lineOf[Number(index)] ?? '?';
    throw new CommandError(`line ${line}, ${column}: ${error.problem.detail ?? 'is wrong'}`);
  }
}

/** The file in parts; one that says who else is to go comes last and whole, when little is left to be done. */
async function apply(
  context: Context,
  people: ReadPeople,
  settings: Omit<DirectoryImport, 'users' | 'dry_run'>,
): Promise<ImportAnswer> {
  const whole = { ...settings, dry_run: false };
  const count = people.users.length;
  if (count <= peoplePerRequest) return await send(context, people, whole);
  const part = { ...whole, complete: false };
  for (let from = 0; from < count; from += peoplePerRequest) {
    const to = from + peoplePerRequest;
    const some = { users: people.users.slice(from, to), lines: people.lines.slice(from, to) };
    await send(context, some, part);
    context.progress(`${Math.min(to, count)} of ${count} people`);
  }
  return await send(context, people, whole);
}

const showCounts = ({ users, groups }: ImportAnswer) =>
  rows(
    ...Object.entries(users).map(([what, count]) => [`users ${what}`, String(count)] as const),
    ['groups created', String(groups.created)],
    ['groups changed', String(groups.changed)],
  );

export const directoryCommands: readonly Command[] = [
  {
    words: ['directory', 'show'],
    help: 'Shows what the directory has brought, and whether it is stopped.',
    routes: ['GET /v1/admin/directory'],
    run: async (context) => showDirectory(await context.client().get(path, directoryAnswer)),
  },
  {
    words: ['directory', 'set'],
    options: {
      '--subject': {
        value: 'ATTRIBUTE',
        help: `what sign-in servers send: ${subjectAttributes.join(' or ')}`,
      },
      '--max-removals': { value: 'N', help: 'people who may lose their access in the period' },
      '--max-removals-percent': { value: 'N', help: 'or this share of them, where it is more' },
      '--period-hours': { value: 'N', help: 'the period' },
    },
    help: 'Sets how the directory is taken over, and how much it may take away.',
    routes: ['GET /v1/admin/directory', 'PUT /v1/admin/directory'],
    run: async (context, input) => {
      const hours = wholeNumber(input, '--period-hours');
      const before = await context.client().get(path, directoryAnswer);
      const body = {
        subject: input.option('--subject') ?? before.subject,
        max_removals: wholeNumber(input, '--max-removals') ?? before.max_removals,
        max_removals_percent:
          wholeNumber(input, '--max-removals-percent') ?? before.max_removals_percent,
        period_seconds: hours === undefined ? before.period_seconds : hours * hourSeconds,
      };
      return showDirectory(await context.client().ask('PUT', path, directoryAnswer, { body }));
    },
  },
  {
    words: ['directory', 'resume'],
    options: {
      '--group': { value: 'GROUP', help: 'of a group whose members may not be removed' },
      '--removals': { value: 'N', help: 'as many may follow in the period' },
    },
    help: 'Lets go on what the quota has stopped. Look first at what the directory does.',
    routes: ['POST /v1/admin/directory/resume'],
    run: async (context, input) => {
      const body = present<string | number>({
        group_id: input.option('--group'),
        removals: wholeNumber(input, '--removals'),
      });
      const answer = await context
        .client()
        .ask('POST', `${path}/resume`, directoryAnswer, { body });
      return showDirectory(answer);
    },
  },
  {
    words: ['users', 'import'],
    parameters: ['FILE'],
    options: {
      '--apply': { help: 'does it; without it, it says what would be done' },
      '--complete': { help: 'deactivates whoever of the directory is not in the file' },
      '--ignore-quota': { help: 'although it takes away more than the quota permits' },
    },
    help: 'Takes people and their groups over from a CSV file, for those without SCIM.',
    routes: ['PUT /v1/admin/directory/import'],
    run: async (context, input) => {
      const people = readPeople(readTextFile(parameterOf(input, 0)));
      const settings = {
        complete: input.flag('--complete'),
        ignore_quota: input.flag('--ignore-quota'),
      };
      const tried = await send(context, people, { ...settings, dry_run: true });
      const needsOverride = !tried.within_quota && !settings.ignore_quota;
      const warning = needsOverride
        ? lines('It takes away more than the quota permits: look again, then add --ignore-quota.')
        : lines(input.flag('--apply') ? 'Done.' : 'Nothing was changed: add --apply.');
      if (needsOverride && input.flag('--apply')) {
        throw new CommandError('it takes away more than the quota permits; nothing was changed');
      }
      if (input.flag('--apply')) await apply(context, people, settings);
      return { json: tried, sections: [showCounts(tried), warning] };
    },
  },
];
