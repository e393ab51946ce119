import { expect } from 'vitest';
import { command, hasCertificates, keyOf, pick } from './device-command.ts';
import type { Interruption } from './device-system.ts';

/** What happens to certificates beside being issued and used. */

export type RenewArguments = {
  readonly certificate: number;
  /** `new`: one that nobody has. Left out: the certificate's own. */
  readonly key: 'new' | number | undefined;
  readonly interruption: Interruption;
};

export const renew = (args: RenewArguments) =>
  command(
    'renew',
    args,
    async (model, system) => {
      const certificate = pick(args.certificate, model.certificates.length) ?? 0;
      const known = args.key === 'new' ? undefined : pick(args.key ?? -1, system.keys.length);
      const wanted = args.key === undefined ? undefined : known;
      const newKey = args.key === 'new' ? await system.newKey() : wanted;
      const expected = model.renew(certificate, newKey);
      const ownKey = keyOf(model)(certificate) ?? -1;
      const answer = await system.renew(ownKey, newKey, args.interruption);
      if (typeof expected === 'string') {
        expect(answer).toEqual({ code: expected });
        return;
      }
      if (!('fingerprint' in answer)) throw new Error(`refused with ${answer.code}`);
      system.fingerprints[expected] ??= answer.fingerprint;
      expect(answer.fingerprint).toBe(system.fingerprints[expected]);
      expect(new Set(system.fingerprints).size).toBe(system.fingerprints.length);
    },
    hasCertificates,
  );

export const revoke = (args: { readonly certificate: number }) =>
  command(
    'revoke',
    args,
    async (model, system) => {
      const certificate = pick(args.certificate, model.certificates.length) ?? 0;
      model.revoke(certificate);
      await system.revoke(certificate);
    },
    hasCertificates,
  );

export type StandingArguments = { readonly certificate: number; readonly how: 'hold' | 'release' };

export const changeStanding = (args: StandingArguments) =>
  command(
    'changeStanding',
    args,
    async (model, system) => {
      const held = model.certificates.flatMap(({ status }, index) =>
        status === 'suspended' ? [index] : [],
      );
      // There is little to release; what is on hold is the one to try.
      const from =
        args.how === 'release' && held.length > 0 ? held : [...model.certificates.keys()];
      const certificate = from[pick(args.certificate, from.length) ?? 0] ?? 0;
      model[args.how](certificate);
      await system.change(certificate, args.how);
    },
    hasCertificates,
  );

export const lose = () =>
  command(
    'loseDevice',
    {},
    async (model, system) => {
      model.lose();
      await system.lose();
    },
    hasCertificates,
  );

export const find = () =>
  command(
    'findDevice',
    {},
    async (model, system) => {
      model.find();
      await system.find();
    },
    hasCertificates,
  );
