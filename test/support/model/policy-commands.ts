import { command } from './device-command.ts';
import { applications, type ModelGlobalPolicy } from './device-model.ts';
import type { ModelClient, PolicyForm } from './device-system.ts';

export type PolicyArguments = {
  readonly application: number;
  readonly to: number;
  readonly leaves: 'nothing' | 'trusted_devices' | 'everything';
  readonly form: PolicyForm;
};

export const changePolicy = (clients: () => readonly ModelClient[], args: PolicyArguments) =>
  command('changePolicy', args, async (model, system) => {
    const all = clients();
    const client = all[args.application % all.length];
    const likeThis = applications[args.to % applications.length];
    if (client === undefined || likeThis === undefined) throw new Error('there are no clients');
    const { leaves } = args;
    const application = leaves === 'nothing' ? likeThis : { ...likeThis, leaves };
    client.isChanged = true;
    model.changePolicy(client.number, application);
    await system.changePolicy(client, application, args.form);
  });

export const changeGlobalPolicy = (policy: ModelGlobalPolicy) =>
  command('changeGlobalPolicy', policy, async (model, system) => {
    model.changeGlobalPolicy(policy);
    await system.changeGlobalPolicy(policy);
  });
