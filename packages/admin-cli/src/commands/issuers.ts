import { issuerChangeAnswer, issuerList } from '@countersign/protocol/admin-access';
import { type Command, parameterOf, rows, table } from '../command-line/command.ts';
import { segment } from './read-input.ts';

/** The broker's word on its issuers; which there are is the business of `ca`. */

function changeCommand(verb: 'activate' | 'retire', help: string): Command {
  const retires = verb === 'retire';
  return {
    words: ['issuers', verb],
    parameters: ['ISSUER'],
    ...(retires
      ? { options: { '--override': { help: 'also while certificates of it would count' } } }
      : {}),
    help,
    routes: [`POST /v1/admin/issuers/:id/${verb}`],
    run: async (context, input) => {
      const path = `/v1/admin/issuers/${segment(parameterOf(input, 0))}/${verb}`;
      const sent = retires ? { body: { override: input.flag('--override') } } : {};
      const answer = await context.client().ask('POST', path, issuerChangeAnswer, sent);
      const changed = answer.changed ? `yes, everywhere from ${answer.complete_at} on` : 'no';
      return {
        json: answer,
        sections: [
          rows(['issuer', answer.issuer_id], ['standing', answer.standing], ['changed', changed]),
        ],
      };
    },
  };
}

export const issuerCommands: readonly Command[] = [
  {
    words: ['issuers', 'list'],
    help: 'Lists the issuers that the broker has, and how many certificates of each still count.',
    routes: ['GET /v1/admin/issuers'],
    run: async (context) => {
      const list = await context.client().get('/v1/admin/issuers', issuerList);
      const found = list.issuers.map((each) => [
        each.issuer_id,
        each.standing,
        String(each.live_certificates),
        each.not_after,
        each.subject,
      ]);
      const columns = ['issuer', 'standing', 'certificates', 'ends', 'name'];
      return { json: list, sections: [table(columns, found)] };
    },
  },
  changeCommand('activate', 'Has new certificates issued by an issuer.'),
  changeCommand('retire', 'Ends the trust in an issuer on which no certificate depends any more.'),
];
