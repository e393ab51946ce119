import { accessAnswer, accessChange, accessVersions } from '@countersign/policy';
import { changeAnswer } from '@countersign/protocol/admin';
import {
  type Command,
  type Input,
  lines,
  parameterOf,
  rows,
  table,
  wholeNumber,
} from '../command-line/command.ts';
import { parseData } from './policy-files.ts';
import { readJsonFile, segment } from './read-input.ts';
import { showChange } from './show-change.ts';
import { replaceFile } from './write-output.ts';

/** What may be done inside of applications, as files. */

const accessPath = (input: Input) =>
  `/v1/admin/applications/${segment(parameterOf(input, 0))}/access`;

export const accessCommands: readonly Command[] = [
  {
    words: ['access', 'pull'],
    parameters: ['APPLICATION', 'FILE'],
    options: { '--version': { value: 'NUMBER', help: 'an older one; to go back, push it' } },
    help: 'Writes what may be done inside of an application into a file, which can be pushed again.',
    routes: ['GET /v1/admin/applications/:id/access'],
    run: async (context, input) => {
      const client = context.client();
      const version = wholeNumber(input, '--version');
      const query = version === undefined ? '' : `?version=${version}`;
      const found = await client.get(`${accessPath(input)}${query}`, accessAnswer);
      const newest = query === '' ? found : await client.get(accessPath(input), accessAnswer);
      const { version: _, ...access } = found.access;
      // Whoever pushes it takes the place of what there is now, and of nothing newer.
      const file = { access, comment: '', expected_version: newest.access.version };
      replaceFile(parameterOf(input, 1), `${JSON.stringify(file, undefined, 2)}\n`);
      return {
        json: found,
        sections: [
          rows(
            ['version', String(found.access.version)],
            ['author', found.author],
            ['comment', found.comment],
            ['subjects', String(access.subjects.length)],
            ['resources', String(access.resources.length)],
            ['rules', String(access.rules.length)],
          ),
        ],
      };
    },
  },
  {
    words: ['access', 'push'],
    parameters: ['APPLICATION', 'FILE'],
    help: 'Says what may be done inside of an application, unless somebody has changed it since it was pulled.',
    routes: ['PUT /v1/admin/applications/:id/access'],
    run: async (context, input) => {
      const body = readJsonFile(parameterOf(input, 1));
      return showChange(
        await context.client().ask('PUT', accessPath(input), changeAnswer, { body }),
      );
    },
  },
  {
    words: ['access', 'lint'],
    parameters: ['FILE'],
    help: 'Says what is wrong with the access in a file. Asks no broker.',
    routes: [],
    run: async (_, input) => {
      const file = parameterOf(input, 0);
      const { rules } = parseData(accessChange, file, readJsonFile(file)).access;
      return { json: { rules: rules.length }, sections: [lines('Nothing to say.')] };
    },
  },
  {
    words: ['access', 'versions'],
    parameters: ['APPLICATION'],
    help: 'Lists every version of what may be done inside of an application.',
    routes: ['GET /v1/admin/applications/:id/access/versions'],
    run: async (context, input) => {
      const list = await context.client().get(`${accessPath(input)}/versions`, accessVersions);
      const found = list.versions.map((each) => [
        String(each.version),
        each.created_at,
        each.author,
        String(each.rules),
        each.comment,
      ]);
      const columns = ['version', 'created', 'author', 'rules', 'comment'];
      return { json: list, sections: [table(columns, found)] };
    },
  },
];
