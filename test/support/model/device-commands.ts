import fc from 'fast-check';
import { expect } from 'vitest';
import {
  changeStanding,
  find,
  lose,
  renew,
  revoke,
  type StandingArguments,
} from './certificate-commands.ts';
import { command, type DeviceCommand, keyOf, pick, usersPerDevice } from './device-command.ts';
import type { DeviceModel, Expected, ModelGlobalPolicy } from './device-model.ts';
import type {
  Attempt,
  AttemptChange,
  DeviceSystem,
  Interruption,
  ModelClient,
  PolicyForm,
} from './device-system.ts';
import { changeGlobalPolicy, changePolicy, type PolicyArguments } from './policy-commands.ts';

type EnrollArguments = {
  /** `undefined`: a new one. */
  readonly key: number | undefined;
  readonly token: number | undefined;
  readonly interruption: Interruption;
};

const enroll = (args: EnrollArguments) =>
  command('enroll', args, async (model, system) => {
    const { interruption } = args;
    const key = pick(args.key ?? -1, args.key === undefined ? 0 : system.keys.length);
    const token = pick(args.token ?? -1, args.token === undefined ? 0 : system.tokens.length);
    const keyNumber = key ?? (await system.newKey());
    const tokenNumber = token ?? (await system.newToken());
    const expected = model.enroll(tokenNumber, keyNumber);
    const answer = await system.enroll(tokenNumber, keyNumber, interruption);
    if (typeof expected === 'string') {
      expect(answer).toEqual({ code: expected });
      return;
    }
    if (!('fingerprint' in answer)) throw new Error(`refused with ${answer.code}`);
    // The same key has the same certificate, however often it asks.
    system.fingerprints[expected] ??= answer.fingerprint;
    expect(answer.fingerprint).toBe(system.fingerprints[expected]);
    expect(new Set(system.fingerprints).size).toBe(system.fingerprints.length);
  });

/** Sends an attempt to the model and to the broker, and compares what they make of it. */
async function signIn(
  model: DeviceModel,
  system: DeviceSystem,
  attempt: Attempt,
  interruption: Interruption,
): Promise<void> {
  const expected = model.evaluate(attempt.asked);
  const { decision, context } = await system.send(attempt, interruption);
  const { step_up } = context;
  expect({
    decision,
    reason: context.reason_code,
    trusted: context.device_trusted,
    untrustedReason: context.untrusted_reason,
    demand:
      step_up === undefined
        ? undefined
        : { authentication: step_up.subject_authenticated, factor: step_up.acr_values.length > 0 },
    hasToken: context.decision_token !== undefined,
  }).toEqual(answerOf(expected));
  if (expected.kind === 'refused') return;
  if (expected.kind === 'decided') expected.row.decisionId = context.decision_id;
  expect(context.decision_id).toBe(expected.row.decisionId);
}

function answerOf(expected: Expected) {
  if (expected.kind === 'refused') {
    const { reason } = expected;
    return { decision: false, reason, trusted: false, hasToken: false };
  }
  const { decision, reason, trusted, untrustedReason, demand } = expected.row;
  return { decision, reason, trusted, untrustedReason, demand, hasToken: demand === undefined };
}

type BeginArguments = {
  readonly application: number;
  readonly certificate: number | undefined;
  readonly user: number;
  readonly authenticated: boolean;
  readonly rightOrigin: boolean;
  readonly interruption: Interruption;
};

const begin = (clients: () => readonly ModelClient[], args: BeginArguments) =>
  command('signIn', args, async (model, system) => {
    const all = clients();
    const client = all[args.application % all.length];
    if (client === undefined) throw new Error('there are no clients');
    const { authenticated, rightOrigin, interruption } = args;
    const attempt = await system.begin(
      client,
      {
        certificate:
          args.certificate === undefined
            ? undefined
            : pick(args.certificate, model.certificates.length),
        user: system.userId(args.user % usersPerDevice),
        authenticated,
        rightOrigin,
      },
      keyOf(model),
    );
    system.attempts.push(attempt);
    await signIn(model, system, attempt, interruption);
  });

const hasAttempts = (model: Pick<DeviceModel, 'rows'>) => model.rows.length > 0;

type RepeatArguments = { readonly attempt: number; readonly interruption: Interruption };

const repeat = (args: RepeatArguments) =>
  command(
    'signInAgain',
    args,
    async (model, system) => {
      const attempt = system.attempts[pick(args.attempt, system.attempts.length) ?? -1];
      if (attempt !== undefined) await signIn(model, system, attempt, args.interruption);
    },
    hasAttempts,
  );

type ReuseArguments = {
  readonly attempt: number;
  readonly change: 'user' | 'authenticated' | 'rightOrigin' | 'rightTransaction' | 'certificate';
  readonly other: number;
};

/** The challenge of an earlier sign-in, for something else. */
const reuse = (args: ReuseArguments) =>
  command(
    'reuseChallenge',
    args,
    async (model, system) => {
      const attempt = system.attempts[pick(args.attempt, system.attempts.length) ?? -1];
      if (attempt === undefined) return;
      const { asked } = attempt;
      const changes: Record<ReuseArguments['change'], AttemptChange> = {
        user: { user: system.userId(args.other % usersPerDevice) },
        authenticated: { authenticated: !asked.authenticated },
        rightOrigin: { rightOrigin: !asked.rightOrigin },
        rightTransaction: { rightTransaction: !asked.rightTransaction },
        certificate: { certificate: pick(args.other, model.certificates.length) },
      };
      const changed = await system.vary(attempt, changes[args.change], keyOf(model));
      system.attempts.push(changed);
      await signIn(model, system, changed, 'none');
    },
    hasAttempts,
  );

type CompleteArguments = {
  readonly attempt: number;
  readonly factorAsserted: boolean;
  readonly authenticated: boolean;
  /** `undefined`: the one that the sign-in was for. */
  readonly user: number | undefined;
  readonly interruption: Interruption;
};

const complete = (args: CompleteArguments) =>
  command(
    'complete',
    args,
    async (model, system) => {
      // Those that wait are the ones to try, where there are any.
      const waiting = system.attempts.filter(({ asked }) =>
        model.rows.some((row) => row.asked === asked && row.demand !== undefined),
      );
      const from = waiting.length > 0 ? waiting : system.attempts;
      const attempt = from[pick(args.attempt, from.length) ?? -1];
      if (attempt === undefined) return;
      const { authenticated, factorAsserted } = args;
      const user =
        args.user === undefined ? {} : { user: system.userId(args.user % usersPerDevice) };
      const change = { authenticated, ...user, completion: { factorAsserted } };
      const completing = await system.vary(attempt, change, keyOf(model));
      system.attempts.push(completing);
      await signIn(model, system, completing, args.interruption);
    },
    hasAttempts,
  );

type UserArguments = {
  readonly user: number;
  /** One of those who have signed in, or tried to, where there are any. */
  readonly isKnown: boolean;
  readonly how: 'deactivate' | 'reactivate' | 'revoke';
};

const changeUser = (args: UserArguments) =>
  command('changeUser', args, async (model, system) => {
    const known = model.rows.map(({ asked }) => asked.user);
    const knownUser = args.isKnown ? known[args.user % known.length] : undefined;
    const user = knownUser ?? system.userId(args.user % usersPerDevice);
    if (args.how === 'deactivate') model.deactivate(user);
    else if (args.how === 'reactivate') model.reactivate(user);
    else model.endBindings(user);
    await system.changeUser(user, args.how);
  });

const evict = () => command('evict', {}, (_, system) => system.evict());
const kill = () => command('kill', {}, (_, system) => system.kill());

/**
 * Everything that can happen to a device, each as often as it helps.
 *
 * @param clients one for each application, none of them near its limit of refusals
 * @param killShare how many of a thousand requests meet a kill -9 on their way
 * @param replayPath of a failure, as fast-check prints it behind the commands
 */
export function deviceCommands(
  clients: () => readonly ModelClient[],
  killShare: number,
  replayPath?: string,
): fc.Arbitrary<Iterable<DeviceCommand>> {
  const index = fc.nat(11);
  const often = (weight: number) => fc.nat(99).map((number) => number < weight);
  const interruption = fc.nat(999).map((number): Interruption => {
    // The lowest number is what a failure is cut down to.
    if (number >= 1000 - killShare) return 'kill';
    return number >= 920 ? 'eviction' : 'none';
  });
  const optional = (weight: number) =>
    fc.tuple(often(weight), index).map(([isNone, number]) => (isNone ? undefined : number));

  const commands: ReadonlyArray<readonly [number, fc.Arbitrary<DeviceCommand>]> = [
    [5, fc.record({ key: optional(80), token: optional(85), interruption }).map(enroll)],
    [
      8,
      fc
        .record({
          application: index,
          certificate: optional(6),
          user: fc.oneof(fc.constant(0), fc.constant(0), index),
          authenticated: often(80),
          rightOrigin: often(93),
          interruption,
        })
        .map((args) => begin(clients, args)),
    ],
    [4, fc.record({ attempt: index, interruption }).map(repeat)],
    [
      3,
      fc
        .record({
          attempt: index,
          change: fc.constantFrom<ReuseArguments['change']>(
            'user',
            'authenticated',
            'rightOrigin',
            'rightTransaction',
            'certificate',
          ),
          other: index,
        })
        .map(reuse),
    ],
    [
      3,
      fc
        .record({
          attempt: index,
          factorAsserted: often(75),
          authenticated: often(80),
          user: optional(85),
          interruption,
        })
        .map(complete),
    ],
    [2, fc.record({ certificate: index }).map(revoke)],
    [
      4,
      fc
        .record({
          certificate: index,
          key: fc.oneof(
            fc.constant<'new'>('new'),
            fc.constant<'new'>('new'),
            index,
            fc.constant(undefined),
          ),
          interruption,
        })
        .map(renew),
    ],
    [
      3,
      fc
        .record({
          certificate: index,
          how: fc.constantFrom<StandingArguments['how']>('hold', 'release', 'release'),
        })
        .map(changeStanding),
    ],
    [1, fc.nat(2).map((number) => (number === 0 ? lose() : find()))],
    [
      3,
      fc
        .record({
          user: fc.oneof(fc.constant(0), index),
          isKnown: often(80),
          how: fc.constantFrom<UserArguments['how']>('deactivate', 'reactivate', 'revoke'),
        })
        .map(changeUser),
    ],
    [
      2,
      fc
        .record({
          application: index,
          to: index,
          leaves: fc.constantFrom<PolicyArguments['leaves']>(
            'nothing',
            'trusted_devices',
            'everything',
          ),
          form: fc.constantFrom<PolicyForm>('choices', 'rules'),
        })
        .map((args) => changePolicy(clients, args)),
    ],
    [
      1,
      fc
        .record<ModelGlobalPolicy>({
          enforcement: fc.constantFrom('enforce', 'monitor'),
          trustedDevices: fc.constantFrom('allow', 'step_up'),
        })
        .map(changeGlobalPolicy),
    ],
    [1, fc.constant(undefined).map(evict)],
  ];
  const weighted = commands.flatMap(([weight, arbitrary]) =>
    Array.from({ length: weight }, () => arbitrary),
  );
  const rare = fc
    .nat(999)
    .chain((number) =>
      number >= 1000 - killShare ? fc.constant(undefined).map(kill) : fc.oneof(...weighted),
    );
  return fc.commands([rare], {
    maxCommands: 24,
    size: 'max',
    ...(replayPath === undefined ? {} : { replayPath }),
  });
}

/** The beginning of most lives: some certificates, one of which is in use. */
export const usualBeginning = (
  clients: () => readonly ModelClient[],
  certificates: number,
): DeviceCommand[] => {
  const interruption = 'none';
  const enrollments = Array.from({ length: certificates }, () =>
    enroll({ key: undefined, token: undefined, interruption }),
  );
  const signIn = begin(clients, {
    application: 0,
    certificate: 0,
    user: 0,
    authenticated: true,
    rightOrigin: true,
    interruption,
  });
  return certificates === 0 ? [] : [...enrollments, signIn];
};
