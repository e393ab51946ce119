import { failOpenAnswer, failOpenChangeAnswer } from '@countersign/protocol/fail-open';
import {
  type Command,
  type Context,
  type Input,
  lines,
  parameterOf,
  rows,
  type Shown,
  UsageError,
  wholeNumber,
} from '../command-line/command.ts';
import { segment } from './read-input.ts';
import { showChange } from './show-change.ts';

/** Whether sign-in servers may let people in to an application while the broker is away. */

const meaning =
  'While the broker cannot be reached, everybody with a password gets in from any device. Who can cut the broker off can bring that about.';

const pathOf = (input: Input) =>
  `/v1/admin/applications/${segment(parameterOf(input, 0))}/fail-open`;

async function change(context: Context, input: Input, body: object): Promise<Shown> {
  const path = pathOf(input);
  const answer = await context.client().ask('PUT', path, failOpenChangeAnswer, { body });
  const { statements_end_at: end } = answer;
  return showChange(answer, [
    ...(end === undefined ? [] : [rows(['what was given before ends', `by ${end}`])]),
  ]);
}

const route = '/v1/admin/applications/:id/fail-open';

export const failOpenCommands: readonly Command[] = [
  {
    words: ['fail-open', 'show'],
    parameters: ['APPLICATION'],
    help: 'Says whether people are let in to an application while the broker cannot be reached.',
    routes: [`GET ${route}`],
    run: async (context, input) => {
      const answer = await context.client().get(pathOf(input), failOpenAnswer);
      const { enabled, max_age_seconds, statements_end_at: end } = answer;
      return {
        json: answer,
        sections: [
          rows(
            ['fail-open', enabled ? 'on' : 'off'],
            ['for up to', max_age_seconds === undefined ? undefined : `${max_age_seconds} s`],
            ['what was given before ends', end === undefined ? undefined : `by ${end}`],
          ),
          ...(enabled ? [lines(meaning)] : []),
        ],
      };
    },
  },
  {
    words: ['fail-open', 'on'],
    parameters: ['APPLICATION'],
    options: {
      '--minutes': { value: 'N', help: 'the longest outage that it reaches across; 60 by default' },
      '--accept-untrusted-devices': { help: 'that this is what you want' },
    },
    help: 'Has sign-in servers let people in, without a decision and from any device, while the broker cannot be reached.',
    routes: [`PUT ${route}`],
    run: (context, input) => {
      if (!input.flag('--accept-untrusted-devices')) {
        throw new UsageError(`${meaning} If you want that, say --accept-untrusted-devices`);
      }
      const minutes = wholeNumber(input, '--minutes');
      return change(context, input, {
        enabled: true,
        accept_untrusted_devices: true,
        ...(minutes === undefined ? {} : { max_age_seconds: minutes * 60 }),
      });
    },
  },
  {
    words: ['fail-open', 'off'],
    parameters: ['APPLICATION'],
    help: 'Ends that. Sign-in servers learn of it within a minute, or when what they were given ends.',
    routes: [`PUT ${route}`],
    run: (context, input) => change(context, input, { enabled: false }),
  },
];
