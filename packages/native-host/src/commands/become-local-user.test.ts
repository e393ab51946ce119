import type { userInfo } from 'node:os';
import { expect, it } from 'vitest';
import { becomeLocalUser, type OwnProcess } from './become-local-user.ts';

const people: Readonly<Record<string, [uid: number, gid: number]>> = {
  ada: [1001, 1002],
  toor: [0, 0],
};

/** A process that notes what it does to itself, in order. */
function aProcess(euid: number, env: NodeJS.ProcessEnv = {}) {
  const done: unknown[][] = [];
  let current: number | string = euid;
  const own: OwnProcess & { initgroups(user: string, gid: number): void } = {
    env,
    geteuid: () => euid,
    seteuid: (id) => {
      if (typeof id === 'string' && people[id] === undefined) throw new Error('unknown');
      current = id;
      done.push(['seteuid', id]);
    },
    initgroups: (...given) => done.push(['initgroups', ...given]),
    setgid: (id) => done.push(['setgid', id]),
    setuid: (id) => done.push(['setuid', id]),
  };
  const readUser = (() => {
    const [uid, gid] = people[current] ?? [];
    return { uid, gid, username: current, homedir: `/people/${current}`, shell: null };
  }) as typeof userInfo;
  return { own, done, readUser };
}

it('becomes the person, groups first, and never root again', () => {
  const env = {
    HOME: '/people/root',
    USER: 'root',
    XDG_CONFIG_HOME: '/people/root/.config',
    PATH: '/bin',
  };
  const { own, done, readUser } = aProcess(0, env);
  expect(becomeLocalUser('ada', own, readUser)).toMatchObject({ ok: true });
  expect(done).toEqual([
    ['seteuid', 'ada'],
    ['seteuid', 0],
    ['initgroups', 'ada', 1002],
    ['setgid', 1002],
    ['setuid', 1001],
  ]);
  expect(env).toEqual({
    HOME: '/people/ada',
    USER: 'ada',
    LOGNAME: 'ada',
    XDG_RUNTIME_DIR: '/run/user/1001',
    PATH: '/bin',
  });
});

it.each([
  ['nobody knows', 0, 'eve', 'there is no account of this name'],
  ['is root', 0, 'toor', 'must be the person who signs in, not root'],
  ['is somebody else than who asks, who is not root', 1001, 'ada', 'is for root'],
])('becomes nobody who %s', (_, euid, name, detail) => {
  const { own, done, readUser } = aProcess(euid);
  const refused = becomeLocalUser(name, own, readUser);
  expect(refused).toMatchObject({
    ok: false,
    reason: 'usage_invalid',
    detail: expect.stringContaining(detail),
  });
  expect(done.map(([step]) => step)).not.toContain('setuid');
  if (euid === 0) expect(done.at(-1)).toEqual(['seteuid', 0]);
});

it('is not on Windows', () => {
  expect(becomeLocalUser('ada', { env: {} })).toMatchObject({ ok: false, reason: 'usage_invalid' });
});
