import { jobAnswer, userAnswer, userChangeAnswer } from '@countersign/protocol/admin-users';
import { revocationReasons } from '@countersign/protocol/certificate-life';
import {
  type Command,
  type Context,
  type Input,
  parameterOf,
  rows,
  type Shown,
} from '../command-line/command.ts';
import { segment } from './read-input.ts';
import { describeJob, jobPath, waitForJob } from './wait-for-job.ts';

const userPath = (input: Input) => `/v1/admin/users/${segment(parameterOf(input, 0))}`;
const wait = { '--wait': { help: 'until every decision knows of it' } };

async function changeUser(
  context: Context,
  input: Input,
  method: 'PUT' | 'POST',
  path: string,
  body: object,
): Promise<Shown> {
  const answer = await context.client().ask(method, path, userChangeAnswer, { body });
  const { job_id } = answer;
  const finished =
    input.flag('--wait') && job_id !== undefined && answer.status === 'pending'
      ? await waitForJob(context, job_id)
      : undefined;
  const status = finished?.status ?? answer.status;
  return {
    json: { ...answer, status },
    sections: [
      rows(
        ['user', answer.user_id],
        ['active', answer.active ? 'yes' : 'no'],
        ['status', status],
        ['job', status === 'pending' ? job_id : undefined],
      ),
    ],
  };
}

export const userCommands: readonly Command[] = [
  {
    words: ['users', 'show'],
    parameters: ['USER'],
    help: 'Shows what the broker knows of a user.',
    routes: ['GET /v1/admin/users/:id'],
    run: async (context, input) => {
      const user = await context.client().get(userPath(input), userAnswer);
      return {
        json: user,
        sections: [
          rows(
            ['user', user.user_id],
            ['active', user.active ? 'yes' : 'no'],
            ['known', user.provisioned ? 'by an administrator or a directory' : 'by a sign-in'],
            ['jobs', user.jobs.map(({ job_id }) => job_id).join(' ') || 'none running'],
          ),
        ],
      };
    },
  },
  ...(['activate', 'deactivate'] as const).map(
    (verb): Command => ({
      words: ['users', verb],
      parameters: ['USER'],
      options: wait,
      help:
        verb === 'activate'
          ? 'Lets a user sign in, and makes them known. What was bound before stays ended.'
          : 'Keeps a user from signing in, and revokes their certificates for ever.',
      routes: ['PUT /v1/admin/users/:id'],
      run: (context, input) =>
        changeUser(context, input, 'PUT', userPath(input), { active: verb === 'activate' }),
    }),
  ),
  {
    words: ['users', 'revoke'],
    parameters: ['USER'],
    options: {
      ...wait,
      '--reason': { value: 'REASON', help: `one of ${revocationReasons.join(', ')}` },
    },
    help: 'Revokes the trust certificates of a user, who stays as active as before.',
    routes: ['POST /v1/admin/users/:id/revoke'],
    run: (context, input) =>
      changeUser(context, input, 'POST', `${userPath(input)}/revoke`, {
        reason: input.option('--reason') ?? 'unspecified',
      }),
  },
  {
    words: ['jobs', 'show'],
    parameters: ['JOB'],
    options: wait,
    help: 'Shows how far a revocation of a user or an integration has come.',
    routes: ['GET /v1/admin/jobs/:id'],
    run: async (context, input) => {
      const id = parameterOf(input, 0);
      const job = input.flag('--wait')
        ? await waitForJob(context, id)
        : await context.client().get(jobPath(id), jobAnswer);
      return { json: job, sections: [describeJob(job)] };
    },
  },
];
