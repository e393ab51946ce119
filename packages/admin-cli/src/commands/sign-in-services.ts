import { createHash, randomBytes } from 'node:crypto';
import { applicationList, policyChangeAnswer } from '@countersign/policy';
import { changeAnswer, enrollmentTokenAnswer } from '@countersign/protocol/admin';
import {
  type Command,
  type Input,
  lines,
  parameterOf,
  present,
  rows,
  table,
  UsageError,
  wholeNumber,
} from '../command-line/command.ts';
import { findingTable } from './policy-sections.ts';
import { readJsonFile, segment } from './read-input.ts';
import { showChange } from './show-change.ts';

/** Applications, the servers that sign people in to them, and tokens for single devices. */

const secretBytes = 32;

function newSecret() {
  const secret = randomBytes(secretBytes).toString('base64url');
  const secret_sha256 = createHash('sha256').update(secret).digest('base64url');
  return { secret, authentication: { method: 'client_secret', secret_sha256 } };
}

const dayS = 86_400;
const hourS = 3_600;

function tokenBody(input: Input): object {
  const [serial, uuid] = [input.option('--serial'), input.option('--uuid')];
  if (serial === undefined && uuid === undefined) {
    throw new UsageError('tokens create needs --serial, --uuid or both');
  }
  const hours = wholeNumber(input, '--hours');
  const user = input.option('--user');
  return {
    hardware_id: present({ serial_number: serial, hardware_uuid: uuid }),
    ttl_seconds: hours === undefined ? dayS : hours * hourS,
    ...present({ integration_id: input.option('--integration'), user }),
  };
}

export const signInServiceCommands: readonly Command[] = [
  {
    words: ['applications', 'list'],
    help: 'Lists applications, with what their policies leave to the global one.',
    routes: ['GET /v1/admin/applications'],
    run: async (context) => {
      const list = await context.client().get('/v1/admin/applications', applicationList);
      const found = list.applications.map((each) => [
        each.application_id,
        each.source,
        each.enforcement,
        String(each.rules),
        each.otherwise,
        each.clients.join(' ') || '-',
        each.name,
      ]);
      const columns = [
        'application',
        'made from',
        'enforcement',
        'rules',
        'otherwise',
        'clients',
        'name',
      ];
      return { json: list, sections: [table(columns, found)] };
    },
  },
  {
    words: ['applications', 'set'],
    parameters: ['APPLICATION', 'FILE'],
    help: 'Makes an application, or changes it, from a JSON file.',
    routes: ['PUT /v1/admin/applications/:id'],
    run: async (context, input) => {
      const body = readJsonFile(parameterOf(input, 1));
      const path = `/v1/admin/applications/${segment(parameterOf(input, 0))}`;
      const changed = await context.client().ask('PUT', path, policyChangeAnswer, { body });
      return showChange(
        changed,
        changed.findings.length === 0 ? [] : [findingTable(changed.findings)],
      );
    },
  },
  {
    words: ['clients', 'set'],
    parameters: ['CLIENT', 'FILE'],
    options: {
      '--new-secret': { help: 'makes a secret here and shows it; the broker gets its hash' },
    },
    help: 'Makes a client, a server that signs people in, or changes it, from a JSON file.',
    routes: ['PUT /v1/admin/clients/:id'],
    run: async (context, input) => {
      const given = readJsonFile(parameterOf(input, 1));
      const path = `/v1/admin/clients/${segment(parameterOf(input, 0))}`;
      if (!input.flag('--new-secret')) {
        return showChange(await context.client().ask('PUT', path, changeAnswer, { body: given }));
      }
      const { secret, authentication } = newSecret();
      const body = { ...given, authentication };
      const answer = await context.client().ask('PUT', path, changeAnswer, { body });
      const shown = showChange(answer, [
        rows(['secret', secret]),
        lines('The secret is shown this once.'),
      ]);
      return { ...shown, json: { ...answer, client_secret: secret } };
    },
  },
  {
    words: ['tokens', 'create'],
    options: {
      '--serial': { value: 'NUMBER', help: 'serial number of the device' },
      '--uuid': { value: 'UUID', help: 'hardware UUID of the device' },
      '--hours': { value: 'N', help: 'until when it can be spent; 24 by default' },
      '--integration': { value: 'ID', help: 'whose certificate it gives; else of none' },
      '--user': { value: 'USER', help: 'whom the certificate is for' },
    },
    help: 'Makes a token that one device may spend once, to enroll.',
    routes: ['POST /v1/admin/enrollment-tokens'],
    run: async (context, input) => {
      const path = '/v1/admin/enrollment-tokens';
      const body = tokenBody(input);
      const answer = await context.client().ask('POST', path, enrollmentTokenAnswer, { body });
      return {
        json: answer,
        sections: [
          rows(
            ['device', answer.device_id],
            ['until', answer.expires_at],
            ['token', answer.enrollment_token],
          ),
          lines('The token is shown this once.'),
        ],
      };
    },
  },
];
