import type { StateRow, StateTables } from '@countersign/protocol/state';
import { describe, expect, it } from 'vitest';
import { TombstoneIndex } from './pending-tombstones.ts';
import type { PageLine } from './state-file.ts';

const page = (
  object: PageLine['object'],
  shard: number,
  section: PageLine['section'],
  tables: StateTables,
): PageLine => ({ type: 'page', object, shard, section, tables, after: '' });

const user = (user_id: string, epoch: number) =>
  page('organization', 0, 'users', { users: [{ user_id, epoch, active: 1, epoch_since_ms: 0 }] });
const reached = (shard: number, user_id: string, epoch: number) =>
  page('device', shard, 'user_tombstones', { user_tombstones: [{ user_id, epoch }] });

const indexOf = (...pages: PageLine[]) => {
  const index = new TombstoneIndex();
  for (const each of pages) index.add(each);
  return index;
};

const certificate = (
  device_id: string,
  status: string,
  bound_user: string | null = null,
  bound_epoch: number | null = null,
) => ({ device_id, status, bound_user, bound_epoch });

const statusesOf = (tables: StateTables) => tables.certificates?.map(({ status }) => status);

const bobsDevice = {
  devices: [],
  certificates: [
    certificate('d1', 'bound', 'bob', 1),
    certificate('d1', 'issued'),
    certificate('d1', 'intent'),
    certificate('d1', 'revoked'),
    certificate('d1', 'superseded'),
    certificate('d2', 'issued'),
    certificate('d2', 'bound', 'ada', 1),
    certificate('d1', 'superseded', 'ada', 1),
    certificate('d1', 'intent', 'ada', 1),
  ],
};

describe('a tombstone that was on its way', () => {
  it('suspends the unbound certificates of the devices that it would have reached', () => {
    const index = indexOf(user('ada', 1), user('bob', 2));
    expect([...index.rows()]).toEqual([{ user_id: 'bob', epoch: 1 }]);
    expect(statusesOf(index.suspend(0, bobsDevice))).toEqual([
      'bound',
      'suspended',
      'suspended',
      'revoked',
      'suspended',
      'issued',
      'bound',
      'superseded',
      'intent',
    ]);
  });

  it('suspends nothing where it had arrived: what was issued after that stays', () => {
    const index = indexOf(reached(3, 'bob', 1), user('bob', 2));
    expect(index.suspend(3, bobsDevice)).toBe(bobsDevice);
    expect(statusesOf(index.suspend(4, bobsDevice))?.slice(1, 3)).toEqual([
      'suspended',
      'suspended',
    ]);
  });

  it('suspends for the newer epoch where only an older one had arrived', () => {
    const index = indexOf(reached(0, 'bob', 1), user('bob', 3));
    expect([...index.rows()]).toEqual([{ user_id: 'bob', epoch: 2 }]);
    expect(statusesOf(index.suspend(0, bobsDevice))?.[1]).toBe('suspended');
  });

  it('counts what was asked for in the name of the user, until somebody else has signed in with it', () => {
    const asked = { ...certificate('d1', 'issued'), requested_user: 'bob', requested_epoch: 1 };
    const unnamed = certificate('d1', 'issued');
    const bound = { ...asked, status: 'bound', bound_user: 'ada', bound_epoch: 1 };
    const suspendedOf = (...certificates: StateRow[]) =>
      statusesOf(indexOf(user('bob', 2)).suspend(0, { certificates }));
    expect(suspendedOf(asked, unnamed)).toEqual(['suspended', 'suspended']);
    expect(suspendedOf(bound, unnamed)).toEqual(['bound', 'issued']);
    expect(suspendedOf({ ...asked, requested_epoch: 2 }, unnamed)).toEqual(['issued', 'issued']);
  });

  it('leaves a device alone whose binding is of a newer epoch', () => {
    const index = indexOf(user('bob', 2));
    const tables = {
      certificates: [certificate('d1', 'bound', 'bob', 2), certificate('d1', 'issued')],
    };
    expect(index.suspend(0, tables)).toBe(tables);
  });
});

it('a tombstone of which the organization knows nothing is kept', () => {
  const index = indexOf(reached(0, 'eve', 4), reached(1, 'eve', 2), user('eve', 2));
  expect([...index.rows()]).toEqual([{ user_id: 'eve', epoch: 4 }]);
});

it('an integration that was deleted is deleted in every shard, wherever its job had come to', () => {
  const jobs = [
    { job_id: 'a', kind: 'integration', integration_id: 'int_1', user_id: '', epoch: 0 },
    { job_id: 'b', kind: 'user', integration_id: '', user_id: 'bob', epoch: 1 },
  ];
  const index = indexOf(page('organization', 0, 'tombstone_jobs', { tombstone_jobs: jobs }));
  expect([...index.integrationRows()]).toEqual([{ integration_id: 'int_1' }]);
  expect([...index.rows()]).toEqual([]);
});
