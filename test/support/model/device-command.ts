import type fc from 'fast-check';
import { expect } from 'vitest';
import type { DeviceModel } from './device-model.ts';
import type { DeviceSystem } from './device-system.ts';

export type DeviceCommand = fc.AsyncCommand<DeviceModel, DeviceSystem>;

export const usersPerDevice = 3;

/** Numbers are taken modulo what there is, so that a shorter sequence still means something. */
export const pick = (index: number, count: number) => (count === 0 ? undefined : index % count);

/** A command that ends with a look at the device as the administrator sees it. */
export function command(
  name: string,
  args: object,
  run: (model: DeviceModel, system: DeviceSystem) => Promise<void>,
  isPossible: (model: Pick<DeviceModel, 'rows' | 'certificates'>) => boolean = () => true,
): DeviceCommand {
  return {
    check: (model) => isPossible(model),
    run: async (model, system) => {
      await run(model, system);
      await compareDevice(model, system);
    },
    toString: () => `${name}(${JSON.stringify(args).slice(1, -1)})`,
  };
}

async function compareDevice(model: DeviceModel, system: DeviceSystem): Promise<void> {
  const device = await system.describe();
  expect(
    device?.certificates.map(({ status, bound_user }) => ({ status, boundUser: bound_user })) ?? [],
  ).toEqual(model.certificates.map(({ status, boundUser }) => ({ status, boundUser })));
  expect(device?.unbound_certificates ?? 0).toBe(model.unboundCertificates);
}

export const hasCertificates = (model: Pick<DeviceModel, 'certificates'>) =>
  model.certificates.length > 0;

export const keyOf = (model: DeviceModel) => (certificate: number) =>
  model.certificates[certificate]?.key;
