import { groupAnswer, groupList } from '@countersign/protocol/admin-integrations';
import {
  type Command,
  type Input,
  lines,
  parameterOf,
  rows,
  table,
} from '../command-line/command.ts';
import { anything, readTextFile, segment } from './read-input.ts';

const groupPath = (input: Input) => `/v1/admin/groups/${segment(parameterOf(input, 0))}`;

export const groupCommands: readonly Command[] = [
  {
    words: ['groups', 'list'],
    help: 'Lists groups of users.',
    routes: ['GET /v1/admin/groups'],
    run: async (context) => {
      const list = await context.client().get('/v1/admin/groups', groupList);
      const found = list.groups.map((each) => [each.group_id, String(each.members), each.name]);
      return { json: list, sections: [table(['group', 'members', 'name'], found)] };
    },
  },
  {
    words: ['groups', 'show'],
    parameters: ['GROUP'],
    help: 'Shows a group with its members.',
    routes: ['GET /v1/admin/groups/:id'],
    run: async (context, input) => {
      const group = await context.client().get(groupPath(input), groupAnswer);
      return {
        json: group,
        sections: [
          rows(
            ['group', group.group_id],
            ['name', group.name],
            ['on trial', group.integrations.join(' ') || undefined],
            ['in policies', group.applications.join(' ') || undefined],
            ['in the global policy', group.in_global_policy ? 'yes' : undefined],
          ),
          table(
            ['member'],
            group.members.map((member) => [member]),
            'It has no members.',
          ),
        ],
      };
    },
  },
  {
    words: ['groups', 'set'],
    parameters: ['GROUP', 'FILE'],
    options: { '--name': { value: 'NAME', help: 'for people; else the id' } },
    help: 'Makes a group of exactly the users in a file, one on each line.',
    routes: ['PUT /v1/admin/groups/:id'],
    run: async (context, input) => {
      const members = readTextFile(parameterOf(input, 1))
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== '');
      const body = { name: input.option('--name') ?? parameterOf(input, 0), members };
      const answer = await context.client().ask('PUT', groupPath(input), anything, { body });
      return { json: answer, sections: [lines(`The group has ${members.length} members.`)] };
    },
  },
  {
    words: ['groups', 'delete'],
    parameters: ['GROUP'],
    help: 'Deletes a group that no integration is on trial with and no policy or access names.',
    routes: ['DELETE /v1/admin/groups/:id'],
    run: async (context, input) => {
      const answer = await context.client().ask('DELETE', groupPath(input), anything);
      return { json: answer, sections: [lines('Deleted.')] };
    },
  },
];
