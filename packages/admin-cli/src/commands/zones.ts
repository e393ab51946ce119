import { zoneList } from '@countersign/policy';
import { changeAnswer } from '@countersign/protocol/admin';
import { type Command, type Input, lines, parameterOf, table } from '../command-line/command.ts';
import { anything, readJsonFile, segment } from './read-input.ts';
import { showChange } from './show-change.ts';

/** Named networks, as policies name them. */

const zonePath = (input: Input) => `/v1/admin/zones/${segment(parameterOf(input, 0))}`;

export const zoneCommands: readonly Command[] = [
  {
    words: ['zones', 'list'],
    help: 'Lists named networks.',
    routes: ['GET /v1/admin/zones'],
    run: async (context) => {
      const list = await context.client().get('/v1/admin/zones', zoneList);
      const found = list.zones.map((each) => [
        each.zone_id,
        each.on_network ? 'yes' : 'no',
        each.blocks.join(' '),
        each.name,
      ]);
      return {
        json: list,
        sections: [table(['zone', 'on network', 'blocks', 'name'], found, 'There are none.')],
      };
    },
  },
  {
    words: ['zones', 'set'],
    parameters: ['ZONE', 'FILE'],
    help: 'Makes a named network, or changes it, from a JSON file.',
    routes: ['PUT /v1/admin/zones/:id'],
    run: async (context, input) => {
      const body = readJsonFile(parameterOf(input, 1));
      return showChange(await context.client().ask('PUT', zonePath(input), changeAnswer, { body }));
    },
  },
  {
    words: ['zones', 'delete'],
    parameters: ['ZONE'],
    help: 'Deletes a network that no policy names.',
    routes: ['DELETE /v1/admin/zones/:id'],
    run: async (context, input) => {
      const answer = await context.client().ask('DELETE', zonePath(input), anything);
      return { json: answer, sections: [lines('Deleted.')] };
    },
  },
];
