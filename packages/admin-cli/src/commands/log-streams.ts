import {
  logStream,
  logStreamCreated,
  logStreams,
  logStreamTest,
} from '@countersign/protocol/system-log';
import type * as z from 'zod/mini';
import {
  type Command,
  type Input,
  lines,
  parameterOf,
  present,
  rows,
  type Shown,
  table,
} from '../command-line/command.ts';
import { segment } from './read-input.ts';

const collection = '/v1/admin/log-streams';
const pathOf = (input: Input) => `${collection}/${segment(parameterOf(input, 0))}`;

function showStream(stream: z.infer<typeof logStream>): Shown {
  return {
    json: stream,
    sections: [
      rows(
        ['stream', stream.stream_id],
        ['status', stream.status],
        ['waiting', `${stream.waiting_events} events`],
      ),
    ],
  };
}

export const logStreamCommands: readonly Command[] = [
  {
    words: ['log', 'streams', 'list'],
    help: 'Lists webhooks that the system log is sent to, and why deliveries fail.',
    routes: ['GET /v1/admin/log-streams'],
    run: async (context) => {
      const list = await context.client().get(collection, logStreams);
      const found = list.streams.map((stream) => [
        stream.stream_id,
        stream.status,
        String(stream.waiting_events),
        stream.delivered_at ?? '-',
        stream.failing?.detail ?? '-',
        stream.url,
      ]);
      const columns = ['stream', 'status', 'waiting', 'delivered', 'failing', 'url'];
      return { json: list, sections: [table(columns, found)] };
    },
  },
  {
    words: ['log', 'streams', 'add'],
    parameters: ['NAME', 'URL'],
    options: { '--from': { value: 'WHERE', help: 'now (default) or beginning' } },
    help: 'Sends the system log to a webhook. The secret to verify deliveries with is shown this once.',
    routes: ['POST /v1/admin/log-streams'],
    run: async (context, input) => {
      const body = {
        name: parameterOf(input, 0),
        url: parameterOf(input, 1),
        ...present({ from: input.option('--from') }),
      };
      const answer = await context.client().ask('POST', collection, logStreamCreated, { body });
      const { sections } = showStream(answer.stream);
      return {
        json: answer,
        sections: [
          ...sections,
          rows(['secret', answer.secret]),
          lines('The secret is shown this once.'),
        ],
      };
    },
  },
  {
    words: ['log', 'streams', 'remove'],
    parameters: ['STREAM'],
    help: 'Ends a stream.',
    routes: ['DELETE /v1/admin/log-streams/:id'],
    run: async (context, input) => {
      const answer = await context.client().ask('DELETE', pathOf(input), logStream);
      return { json: answer, sections: [lines('Removed.')] };
    },
  },
  {
    words: ['log', 'streams', 'test'],
    parameters: ['STREAM'],
    help: 'Makes one delivery without events, and says what became of it.',
    routes: ['POST /v1/admin/log-streams/:id/test'],
    run: async (context, input) => {
      const path = `${pathOf(input)}/test`;
      const tested = await context.client().ask('POST', path, logStreamTest);
      return {
        json: tested,
        sections: [rows(['delivered', tested.delivered ? 'yes' : 'no'], ['detail', tested.detail])],
        ...(tested.delivered ? {} : { failed: true }),
      };
    },
  },
  {
    words: ['log', 'streams', 'resume'],
    parameters: ['STREAM'],
    help: 'Lets a paused stream go on where it was.',
    routes: ['POST /v1/admin/log-streams/:id/resume'],
    run: async (context, input) =>
      showStream(await context.client().ask('POST', `${pathOf(input)}/resume`, logStream)),
  },
];
