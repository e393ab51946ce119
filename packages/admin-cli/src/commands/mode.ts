import { modeAnswer } from '@countersign/protocol/admin-access';
import type * as z from 'zod/mini';
import {
  type Command,
  parameterOf,
  present,
  rows,
  type Shown,
  UsageError,
  wholeNumber,
} from '../command-line/command.ts';

/** One of two words, of which anything else is a mistake that must change nothing. */
function oneOf(value: string, what: string, [yes, no]: readonly [string, string]): boolean {
  if (value === yes || value === no) return value === yes;
  throw new UsageError(`${what} must be ${yes} or ${no}`);
}

const describeMode = (mode: z.infer<typeof modeAnswer>): Shown => ({
  json: mode,
  sections: [
    rows(
      ['mode', mode.read_only ? 'read-only: nothing is enrolled, renewed or changed' : 'normal'],
      [
        'retry after',
        mode.retry_after_seconds === undefined ? undefined : `${mode.retry_after_seconds} s`,
      ],
      ['users', mode.require_known_users ? 'only those made known get certificates' : 'anybody'],
    ),
  ],
});

export const modeCommands: readonly Command[] = [
  {
    words: ['mode', 'show'],
    help: 'Says whether the broker is read-only.',
    routes: ['GET /v1/admin/mode'],
    run: async (context) => describeMode(await context.client().get('/v1/admin/mode', modeAnswer)),
  },
  {
    words: ['mode', 'set'],
    parameters: ['MODE'],
    options: {
      '--retry-after': { value: 'SECONDS', help: 'what is said to those who are refused' },
      '--known-users': {
        value: 'yes|no',
        help: 'whether only users who were made known get certificates',
      },
    },
    help: 'Sets the mode: read-only or normal. Sign-ins go on in either.',
    routes: ['GET /v1/admin/mode', 'PUT /v1/admin/mode'],
    run: async (context, input) => {
      const readOnly = oneOf(parameterOf(input, 0), 'MODE', ['read-only', 'normal']);
      const now = await context.client().get('/v1/admin/mode', modeAnswer);
      const known = input.option('--known-users');
      const body = {
        read_only: readOnly,
        require_known_users:
          known === undefined
            ? now.require_known_users
            : oneOf(known, '--known-users', ['yes', 'no']),
        ...present({ retry_after_seconds: wholeNumber(input, '--retry-after') }),
      };
      return describeMode(
        await context.client().ask('PUT', '/v1/admin/mode', modeAnswer, { body }),
      );
    },
  },
];
