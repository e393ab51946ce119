import {
  integrationAnswer,
  integrationChangeAnswer,
  integrationDeletion,
  integrationImpact,
  integrationList,
  integrationSecretAnswer,
  webhookSecretAnswer,
} from '@countersign/protocol/admin-integrations';
import * as z from 'zod/mini';
import {
  type Command,
  type Context,
  type Input,
  lines,
  parameterOf,
  rows,
  type Shown,
  table,
  UsageError,
} from '../command-line/command.ts';
import {
  describeIntegration,
  describeState,
  impactSections,
  scriptSections,
} from './describe-integration.ts';
import { readJsonFile, readSecretFile, readTextFile, segment } from './read-input.ts';
import { waitForJob } from './wait-for-job.ts';
import { writeScripts } from './write-output.ts';

const collection = '/v1/admin/integrations';
const pathOf = (input: Input, rest = '') =>
  `${collection}/${segment(parameterOf(input, 0))}${rest}`;

const override = { '--override': { help: 'although something would break' } };
const credentials = {
  '--credentials-file': { value: 'FILE', help: 'with the secret that goes with the connection' },
};
const scripts = {
  '--scripts': { value: 'DIR', help: 'writes the scripts for devices there, the secret in them' },
};

/** The file's integration, with the credentials of a file of their own. */
function bodyOf(input: Input, path: string): object {
  const file = input.option('--credentials-file');
  const given = readJsonFile(path);
  return file === undefined ? given : { ...given, credentials: { secret: readSecretFile(file) } };
}

function showSecret(input: Input, answer: z.infer<typeof integrationSecretAnswer>): Shown {
  const directory = input.option('--scripts');
  const written = directory === undefined ? [] : writeScripts(directory, answer.scripts);
  return {
    json: answer,
    sections: [
      ...describeIntegration(answer.integration),
      rows(['organization secret', answer.organization_secret]),
      lines(
        'The secret is shown this once: `countersign enroll` takes it on a device.',
        ...(written.length > 0
          ? ['Written, with the secret in them:', ...written]
          : ['With --scripts DIR the scripts for devices are written there, the secret in them.']),
      ),
    ],
  };
}

function showChange(answer: z.infer<typeof integrationChangeAnswer>): Shown {
  const { integration, takes_effect } = answer;
  return {
    json: answer,
    sections: [
      rows(
        ['integration', integration.integration_id],
        ['state', describeState(integration.state)],
        ['changed', answer.changed ? `yes, everywhere from ${answer.complete_at} on` : 'no'],
      ),
      ...(takes_effect === undefined
        ? []
        : [lines('', 'From now on this counts:'), ...impactSections(takes_effect)]),
    ],
  };
}

function stateOf(input: Input): object {
  const mode = parameterOf(input, 1);
  const groups = input.option('--groups');
  if (!['disabled', 'test_groups', 'all_users'].includes(mode)) {
    throw new UsageError('STATE must be disabled, test_groups or all_users');
  }
  if ((mode === 'test_groups') !== (groups !== undefined)) {
    throw new UsageError('--groups goes with test_groups, and with nothing else');
  }
  return groups === undefined ? { mode } : { mode, groups: groups.split(',') };
}

const credentialsTest = z.object({
  success: z.boolean(),
  code: z.optional(z.string()),
  detail: z.optional(z.string()),
});
const inventoryAnswer = z.object({ devices: z.int(), devices_before: z.int() });

async function deleteIntegration(context: Context, input: Input): Promise<Shown> {
  const query = input.flag('--override') ? '?override=true' : '';
  const answer = await context
    .client()
    .ask('DELETE', `${pathOf(input)}${query}`, integrationDeletion);
  const status =
    input.flag('--wait') && answer.status === 'pending'
      ? (await waitForJob(context, answer.job_id)).status
      : answer.status;
  return {
    json: { ...answer, status },
    sections: [
      rows(['integration', answer.integration_id], ['status', status], ['job', answer.job_id]),
    ],
  };
}

const looking: readonly Command[] = [
  {
    words: ['integrations', 'list'],
    help: 'Lists integrations with device managements.',
    routes: ['GET /v1/admin/integrations'],
    run: async (context) => {
      const list = await context.client().get(collection, integrationList);
      const found = list.integrations.map((each) => [
        each.integration_id,
        each.kind,
        describeState(each.state),
        each.authority,
        each.profile,
        each.name,
      ]);
      const columns = ['integration', 'kind', 'state', 'authority', 'profile', 'name'];
      return { json: list, sections: [table(columns, found)] };
    },
  },
  {
    words: ['integrations', 'show'],
    parameters: ['INTEGRATION'],
    help: 'Shows an integration with its settings.',
    routes: ['GET /v1/admin/integrations/:id'],
    run: async (context, input) => {
      const integration = await context.client().get(pathOf(input), integrationAnswer);
      return { json: integration, sections: describeIntegration(integration) };
    },
  },
  {
    words: ['integrations', 'impact'],
    parameters: ['INTEGRATION'],
    help: 'Says what would break without an integration, and in which order to proceed.',
    routes: ['GET /v1/admin/integrations/:id/impact'],
    run: async (context, input) => {
      const impact = await context.client().get(pathOf(input, '/impact'), integrationImpact);
      return { json: impact, sections: impactSections(impact) };
    },
  },
  {
    words: ['integrations', 'test'],
    parameters: ['INTEGRATION'],
    help: 'Tries the credentials on the device management, and says what is wrong with them.',
    routes: ['POST /v1/admin/integrations/:id/test-credentials'],
    run: async (context, input) => {
      const path = pathOf(input, '/test-credentials');
      const tested = await context.client().ask('POST', path, credentialsTest);
      return {
        json: tested,
        sections: [
          rows(
            ['credentials', tested.success ? 'work' : 'do not work'],
            ['code', tested.code],
            ['detail', tested.detail],
          ),
        ],
        ...(tested.success ? {} : { failed: true }),
      };
    },
  },
  {
    words: ['integrations', 'scripts'],
    parameters: ['INTEGRATION'],
    help: 'Shows what devices run to enroll, with a place for the secret.',
    routes: ['GET /v1/admin/integrations/:id/scripts'],
    run: async (context, input) => {
      const answer = await context.client().get(pathOf(input, '/scripts'), z.looseObject({}));
      return { json: answer, sections: scriptSections(answer) };
    },
  },
];

const changing: readonly Command[] = [
  {
    words: ['integrations', 'create'],
    parameters: ['FILE'],
    options: { ...credentials, ...scripts },
    help: 'Creates an integration, disabled, from a JSON file. Its secret is shown this once.',
    routes: ['POST /v1/admin/integrations'],
    run: async (context, input) => {
      const body = bodyOf(input, parameterOf(input, 0));
      const answer = await context
        .client()
        .ask('POST', collection, integrationSecretAnswer, { body });
      return showSecret(input, answer);
    },
  },
  {
    words: ['integrations', 'update'],
    parameters: ['INTEGRATION', 'FILE'],
    options: { ...credentials, ...override },
    help: 'Gives an integration the settings of a JSON file. A changed connection needs its credentials again.',
    routes: ['PUT /v1/admin/integrations/:id'],
    run: async (context, input) => {
      const given = bodyOf(input, parameterOf(input, 1));
      const body = input.flag('--override') ? { ...given, override: true } : given;
      const answer = await context
        .client()
        .ask('PUT', pathOf(input), integrationChangeAnswer, { body });
      return showChange(answer);
    },
  },
  {
    words: ['integrations', 'state'],
    parameters: ['INTEGRATION', 'STATE'],
    options: { '--groups': { value: 'ID,ID', help: 'of test_groups' }, ...override },
    help: 'Sets whose sign-ins its certificates count for: disabled, test_groups or all_users.',
    routes: ['PUT /v1/admin/integrations/:id/state'],
    run: async (context, input) => {
      const body = { state: stateOf(input), override: input.flag('--override') };
      const path = pathOf(input, '/state');
      return showChange(await context.client().ask('PUT', path, integrationChangeAnswer, { body }));
    },
  },
  {
    words: ['integrations', 'inventory'],
    parameters: ['INTEGRATION', 'FILE'],
    help: 'Puts a CSV file of all devices in place of the one before.',
    routes: ['PUT /v1/admin/integrations/:id/inventory'],
    run: async (context, input) => {
      const sent = { body: readTextFile(parameterOf(input, 1)), contentType: 'text/csv' };
      const path = pathOf(input, '/inventory');
      const answer = await context.client().ask('PUT', path, inventoryAnswer, sent);
      const { devices, devices_before } = answer;
      return {
        json: answer,
        sections: [lines(`There are ${devices} devices in it; there were ${devices_before}.`)],
      };
    },
  },
  {
    words: ['integrations', 'secret'],
    parameters: ['INTEGRATION'],
    options: scripts,
    help: 'Makes a new organization secret. The one before it proves nothing from then on.',
    routes: ['POST /v1/admin/integrations/:id/secret'],
    run: async (context, input) =>
      showSecret(
        input,
        await context.client().ask('POST', pathOf(input, '/secret'), integrationSecretAnswer),
      ),
  },
  {
    words: ['integrations', 'webhook-secret'],
    parameters: ['INTEGRATION'],
    help: 'Makes a new secret for the webhooks of the device management, shown this once.',
    routes: ['POST /v1/admin/integrations/:id/webhook-secret'],
    run: async (context, input) => {
      const path = pathOf(input, '/webhook-secret');
      const answer = await context.client().ask('POST', path, webhookSecretAnswer);
      return { json: answer, sections: [rows(['webhook secret', answer.webhook_secret])] };
    },
  },
  {
    words: ['integrations', 'delete'],
    parameters: ['INTEGRATION'],
    options: { ...override, '--wait': { help: 'until every certificate of it is revoked' } },
    help: 'Deletes an integration and revokes all its certificates for ever.',
    routes: ['DELETE /v1/admin/integrations/:id'],
    run: deleteIntegration,
  },
];

export const integrationCommands: readonly Command[] = [...looking, ...changing];
