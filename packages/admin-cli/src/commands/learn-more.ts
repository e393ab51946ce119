import { learnMoreAnswer, learnMoreChangeAnswer } from '@countersign/protocol/learn-more';
import {
  type Command,
  type Context,
  parameterOf,
  rows,
  type Shown,
} from '../command-line/command.ts';

/** The link that goes with the reason for which a sign-in did not succeed. */

const path = '/v1/admin/learn-more';
const linkRow = (url: string) => ['learn more', url === '' ? 'no link' : url] as const;

async function change(context: Context, learn_more_url: string): Promise<Shown> {
  const body = { learn_more_url };
  const answer = await context.client().ask('PUT', path, learnMoreChangeAnswer, { body });
  const changed = answer.changed ? `yes, everywhere from ${answer.complete_at} on` : 'no';
  return { json: answer, sections: [rows(linkRow(answer.learn_more_url), ['changed', changed])] };
}

export const learnMoreCommands: readonly Command[] = [
  {
    words: ['learn-more', 'show'],
    help: 'Shows the link that people get with the reason why they are not signed in.',
    routes: ['GET /v1/admin/learn-more'],
    run: async (context) => {
      const answer = await context.client().get(path, learnMoreAnswer);
      return { json: answer, sections: [rows(linkRow(answer.learn_more_url))] };
    },
  },
  {
    words: ['learn-more', 'set'],
    parameters: ['URL'],
    help: 'Sets that link: https, and reachable from devices that are not managed.',
    routes: ['PUT /v1/admin/learn-more'],
    run: (context, input) => change(context, parameterOf(input, 0)),
  },
  {
    words: ['learn-more', 'clear'],
    help: 'Takes it away: the reason comes without a link.',
    routes: ['PUT /v1/admin/learn-more'],
    run: (context) => change(context, ''),
  },
];
