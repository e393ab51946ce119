import { adminList, adminTokenAnswer, selfAnswer } from '@countersign/protocol/admin-access';
import type * as z from 'zod/mini';
import {
  type Command,
  type Input,
  lines,
  parameterOf,
  required,
  rows,
  type Shown,
  table,
  wholeNumber,
} from '../command-line/command.ts';
import { anything, segment } from './read-input.ts';

const dayS = 86_400;
const adminPath = (input: Input) => `/v1/admin/admins/${segment(parameterOf(input, 0))}`;
const days = { '--days': { value: 'N', help: 'life of the token in days; 90 by default' } };
const lifetime = (input: Input) => {
  const given = wholeNumber(input, '--days');
  return given === undefined ? {} : { token_ttl_seconds: given * dayS };
};

function showToken(answer: z.infer<typeof adminTokenAnswer>): Shown {
  return {
    json: answer,
    sections: [
      rows(
        ['admin', answer.admin.admin_id],
        ['name', answer.admin.name],
        ['role', answer.admin.role],
        ['token until', answer.admin.token_expires_at],
        ['token', answer.admin_token],
      ),
      lines('The token is shown this once.'),
    ],
  };
}

export const adminCommands: readonly Command[] = [
  {
    words: ['whoami'],
    help: 'Says as whom the broker knows you, and what you may do.',
    routes: ['GET /v1/admin/self'],
    run: async (context) => {
      const self = await context.client().get('/v1/admin/self', selfAnswer);
      return {
        json: self,
        sections: [
          rows(
            ['admin', self.admin_id],
            ['role', self.role],
            ['permissions', self.permissions.join(' ')],
          ),
        ],
      };
    },
  },
  {
    words: ['admins', 'list'],
    help: 'Lists administrators.',
    routes: ['GET /v1/admin/admins'],
    run: async (context) => {
      const list = await context.client().get('/v1/admin/admins', adminList);
      const found = list.admins.map((admin) => [
        admin.admin_id,
        admin.role,
        admin.revoked_at === undefined
          ? `until ${admin.token_expires_at}`
          : `revoked ${admin.revoked_at}`,
        admin.name,
      ]);
      return { json: list, sections: [table(['admin', 'role', 'token', 'name'], found)] };
    },
  },
  {
    words: ['admins', 'create'],
    parameters: ['NAME'],
    options: {
      '--role': {
        value: 'ROLE',
        help: 'owner, administrator, application_manager, help_desk, read_only or provisioner',
      },
      ...days,
    },
    help: 'Makes an administrator, and a token that is shown this once.',
    routes: ['POST /v1/admin/admins'],
    run: async (context, input) => {
      const body = {
        name: parameterOf(input, 0),
        role: required(input, '--role'),
        ...lifetime(input),
      };
      return showToken(
        await context.client().ask('POST', '/v1/admin/admins', adminTokenAnswer, { body }),
      );
    },
  },
  {
    words: ['admins', 'update'],
    parameters: ['ADMIN'],
    options: {
      '--name': { value: 'NAME', help: 'for people' },
      '--role': { value: 'ROLE', help: 'as with admins create' },
    },
    help: 'Gives an administrator another role and name.',
    routes: ['PUT /v1/admin/admins/:id'],
    run: async (context, input) => {
      const body = { name: required(input, '--name'), role: required(input, '--role') };
      const answer = await context.client().ask('PUT', adminPath(input), anything, { body });
      return { json: answer, sections: [lines('Changed.')] };
    },
  },
  {
    words: ['admins', 'token'],
    parameters: ['ADMIN'],
    options: days,
    help: 'Gives an administrator a new token. The one before it is refused from then on.',
    routes: ['POST /v1/admin/admins/:id/token'],
    run: async (context, input) =>
      showToken(
        await context
          .client()
          .ask('POST', `${adminPath(input)}/token`, adminTokenAnswer, { body: lifetime(input) }),
      ),
  },
  {
    words: ['admins', 'revoke'],
    parameters: ['ADMIN'],
    help: 'Revokes an administrator and their token.',
    routes: ['DELETE /v1/admin/admins/:id'],
    run: async (context, input) => {
      const answer = await context.client().ask('DELETE', adminPath(input), anything);
      return { json: answer, sections: [lines('Revoked.')] };
    },
  },
];
