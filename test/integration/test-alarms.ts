import { runInDurableObject } from 'cloudflare:test';
import { onTestFinished, vi } from 'vitest';
import { ReportObject } from '../../worker/src/audit/report-object.ts';
import { DeviceObject } from '../../worker/src/device/device-object.ts';
import { OrganizationObject } from '../../worker/src/directory/organization-object.ts';
import { RevocationObject } from '../../worker/src/revocation/revocation-object.ts';

/**
 * Alarms ring when they are due, whatever a test is looking at in that moment. One that wants to see what an alarm has
 * done waits for the one that is ringing; one that wants to see what is not done yet holds them off.
 */

type Alarmed = { alarm(): Promise<void> };

const heldOff = new Set<Alarmed>();
const ringing = new WeakMap<object, Promise<void>>();
const rungByTest = new WeakSet<object>();

/** So much later comes an alarm again that was held off: soon enough for the test that is next. */
const postponedByMs = 500;

function watch<Prototype extends Alarmed>(prototype: Prototype): void {
  const { alarm } = prototype;
  prototype.alarm = async function (this: Prototype) {
    if (heldOff.has(prototype) && !rungByTest.has(this)) {
      const { storage }: DurableObjectState = Reflect.get<object, 'ctx'>(this, 'ctx');
      await storage.setAlarm(vi.getRealSystemTime() + postponedByMs);
      return;
    }
    const ring = alarm.call(this);
    ringing.set(this, ring);
    await ring.finally(() => {
      if (ringing.get(this) === ring) ringing.delete(this);
    });
  };
}

const classes = [DeviceObject, OrganizationObject, ReportObject, RevocationObject] as const;
for (const { prototype } of classes) watch(prototype);

/** Until the end of this test the objects of a class do only with `ringAlarm` what their alarms do. */
export function holdAlarms({ prototype }: (typeof classes)[number]): void {
  heldOff.add(prototype);
  onTestFinished(() => {
    heldOff.delete(prototype);
  });
}

type Ringing = InstanceType<(typeof classes)[number]>;

/** Runs at a moment at which no alarm of the object is ringing. */
export const betweenAlarms = <Each extends Ringing, Result>(
  object: DurableObjectStub<Each>,
  run: (object: Each, state: DurableObjectState) => Result | Promise<Result>,
): Promise<Result> =>
  runInDurableObject<Each, Result>(object, async (instance, state) => {
    for (let ring = ringing.get(instance); ring !== undefined; ring = ringing.get(instance)) {
      await ring.catch(() => undefined);
    }
    return await run(instance, state);
  });

/** Rings the alarm of an object, however soon or late it is due, and waits for what that does. */
export const ringAlarm = <Each extends Ringing>(object: DurableObjectStub<Each>): Promise<void> =>
  betweenAlarms(object, async (instance, { storage }) => {
    await storage.deleteAlarm();
    rungByTest.add(instance);
    try {
      await instance.alarm();
    } finally {
      rungByTest.delete(instance);
    }
  });
