import { existsSync } from 'node:fs';
import { parseFields } from '@countersign/protocol/schemas';
import {
  eventTypeFilter,
  type LogEvent,
  logOrders,
  logPage,
  logRebuildAnswer,
  logSettings,
  maxLogPage,
} from '@countersign/protocol/system-log';
import * as z from 'zod/mini';
import {
  type Command,
  CommandError,
  type Context,
  type Input,
  lines,
  type Option,
  parameterOf,
  present,
  rows,
  type Shown,
  table,
  UsageError,
  wholeNumber,
} from '../command-line/command.ts';
import { parseLine, readTextFile } from './read-input.ts';
import { appendToFile, replaceFile } from './write-output.ts';

/** What finds events, with the parameter of the address that it is. */
const filters: Readonly<Record<string, Option & { readonly parameter: string }>> = {
  '--since': { parameter: 'since', value: 'TIME', help: 'recorded at or after (RFC 3339)' },
  '--until': { parameter: 'until', value: 'TIME', help: 'recorded before (RFC 3339)' },
  '--type': { parameter: 'event_type', value: 'TYPE', help: 'a type, or like pki.cert.*' },
  '--outcome': { parameter: 'outcome', value: 'RESULT', help: 'SUCCESS, FAILURE or CHALLENGE' },
  '--user': { parameter: 'user', value: 'USER', help: 'about this user' },
  '--device': { parameter: 'device_id', value: 'DEVICE', help: 'about this device' },
  '--integration': { parameter: 'integration_id', value: 'ID', help: 'about this integration' },
  '--application': { parameter: 'application', value: 'ID', help: 'about this application' },
  '--reason': { parameter: 'reason', value: 'CODE', help: 'with this code' },
  '--serial': { parameter: 'serial_number', value: 'HEX', help: 'about this certificate' },
};

function filtersOf(input: Input): Record<string, string> {
  const type = parseFields(z.optional(eventTypeFilter), input.option('--type'));
  if (!type.ok) throw new UsageError(`--type ${type.detail}`);
  return present(
    Object.fromEntries(
      Object.entries(filters).map(([name, { parameter }]) => [parameter, input.option(name)]),
    ),
  );
}

const getPage = (context: Context, query: Readonly<Record<string, string>>) =>
  context.client().get(`/v1/admin/log?${new URLSearchParams(query)}`, logPage);

const describeEvent = ({ outcome, debugContext, ...event }: LogEvent): string[] => [
  event.published,
  event.eventType,
  outcome.result,
  outcome.reason ?? '-',
  event.user ?? event.actor.id ?? event.actor.type,
  debugContext.debugData.device_id ?? '-',
  event.displayMessage,
];
const eventColumns = ['time', 'type', 'result', 'reason', 'who', 'device', 'message'];

const defaultCount = 50;

/** Pages may be short, or empty, although there is more. */
async function search(context: Context, input: Input): Promise<Shown> {
  const order = input.option('--order') ?? 'newest';
  const wanted = wholeNumber(input, '--limit') ?? defaultCount;
  if (wanted === 0) throw new UsageError('--limit must be at least 1');
  const events: LogEvent[] = [];
  let after = input.option('--after');
  let more = true;
  while (more && events.length < wanted) {
    const limit = String(Math.min(maxLogPage, wanted - events.length));
    const query = { ...filtersOf(input), order, limit, ...present({ after }) };
    const page = await getPage(context, query);
    events.push(...page.events);
    ({ next: after, more } = page);
  }
  return {
    json: { events, next: after, more },
    sections: [
      table(eventColumns, events.map(describeEvent), 'Nothing is found.'),
      ...(more && after !== undefined ? [lines('', `There is more: --after ${after}`)] : []),
    ],
  };
}

/** Where an export goes on, and what it is an export of: another search would leave a gap unseen. */
const savedCursor = z.strictObject({
  broker: z.string(),
  filters: z.record(z.string(), z.string()),
  after: z.string(),
});

function readCursor(path: string, context: Context, asked: Record<string, string>) {
  if (!existsSync(path)) return undefined;
  const saved = savedCursor.safeParse(parseLine(readTextFile(path)));
  if (!saved.success) throw new CommandError(`${path} is no cursor of an export`);
  const { broker, filters: before, after } = saved.data;
  const same = JSON.stringify(Object.entries(before)) === JSON.stringify(Object.entries(asked));
  if (broker !== context.client().brokerUrl || !same) {
    throw new CommandError(`${path} is the cursor of another broker or with other filters`);
  }
  return after;
}

/** By arrival, so that what comes together late is in the next export. */
async function exportLog(context: Context, input: Input): Promise<Shown> {
  const file = parameterOf(input, 0);
  const cursorFile = input.option('--cursor');
  const asked = filtersOf(input);
  let after = cursorFile === undefined ? undefined : readCursor(cursorFile, context, asked);
  if (cursorFile === undefined && existsSync(file)) {
    throw new CommandError(`${file} exists already; --cursor FILE goes on where one ended`);
  }
  let events = 0;
  for (let more = true; more; ) {
    const query = { ...asked, order: 'arrival', limit: String(maxLogPage), ...present({ after }) };
    const page = await getPage(context, query);
    appendToFile(file, page.events.map((event) => `${JSON.stringify(event)}\n`).join(''));
    events += page.events.length;
    ({ next: after, more } = page);
    // After the events: a crash between the two brings some of them again, and loses none.
    if (cursorFile !== undefined) {
      const cursor = { broker: context.client().brokerUrl, filters: asked, after };
      replaceFile(cursorFile, `${JSON.stringify(cursor)}\n`);
    }
    if (more) context.progress(`${events} events`);
  }
  return {
    json: { file, events, next: after },
    sections: [lines(`${events} events were written to ${file}.`)],
  };
}

const settingsPath = '/v1/admin/log/settings';

export const logCommands: readonly Command[] = [
  {
    words: ['log', 'search'],
    options: {
      ...filters,
      '--order': { value: 'ORDER', help: `${logOrders.join(', ')}; newest by default` },
      '--limit': { value: 'N', help: `how many events; ${defaultCount} by default` },
      '--after': { value: 'CURSOR', help: 'goes on after a page' },
    },
    help: 'Finds events in the system log. All filters must fit.',
    routes: ['GET /v1/admin/log'],
    run: search,
  },
  {
    words: ['log', 'export'],
    parameters: ['FILE'],
    options: {
      ...filters,
      '--cursor': {
        value: 'FILE',
        help: 'remembers there where it ended, and goes on from there the next time',
      },
    },
    help: 'Appends events to a file as JSON lines, in their order of arrival.',
    routes: ['GET /v1/admin/log'],
    run: exportLog,
  },
  {
    words: ['log', 'settings'],
    options: { '--retention-days': { value: 'N', help: 'for how long events can be searched' } },
    help: 'Shows for how long events can be searched, or changes it.',
    routes: ['GET /v1/admin/log/settings', 'PUT /v1/admin/log/settings'],
    run: async (context, input) => {
      const retention_days = wholeNumber(input, '--retention-days');
      const settings =
        retention_days === undefined
          ? await context.client().get(settingsPath, logSettings)
          : await context
              .client()
              .ask('PUT', settingsPath, logSettings, { body: { retention_days } });
      return {
        json: settings,
        sections: [rows(['retention', `${settings.retention_days} days`])],
      };
    },
  },
  {
    words: ['log', 'rebuild'],
    help: 'Has all chains brought to the system log again, when that was lost.',
    routes: ['POST /v1/admin/log/rebuild'],
    run: async (context) => {
      const path = '/v1/admin/log/rebuild';
      const answer = await context.client().ask('POST', path, logRebuildAnswer);
      return {
        json: answer,
        sections: [lines(`${answer.chains} chains come together again, in some seconds.`)],
      };
    },
  },
];
