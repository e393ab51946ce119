import { userInfo } from 'node:os';
import { fail, type Result, succeed } from '../result.ts';

/** What the process can do to itself; on Windows it can do nothing of it. */
export type OwnProcess = {
  readonly env: NodeJS.ProcessEnv;
  readonly geteuid?: () => number;
  readonly seteuid?: (id: number | string) => void;
  readonly setgid?: (id: number) => void;
  readonly setuid?: (id: number) => void;
};

/**
 * Gives up root for good, to be the person who signs in: theirs are the folders that browsers find the enrollment in. A
 * process that has done so cannot be looked into by that person, so a secret that root gave it stays where it was
 * (Linux: `prctl(2)`, PR_SET_DUMPABLE).
 *
 * @param name of a local account, as the system knows it
 */
export function becomeLocalUser(
  name: string,
  own: OwnProcess = process,
  readUser: typeof userInfo = userInfo,
): Result<void, 'usage_invalid'> {
  const { geteuid, seteuid, setgid, setuid } = own;
  // Node.js has it wherever it has the others; its types do not.
  const initgroups: unknown = Reflect.get(own, 'initgroups');
  if (!geteuid || !seteuid || !setgid || !setuid || typeof initgroups !== 'function') {
    return fail(
      'usage_invalid',
      '--local-user: not on this system; run the program as that person',
    );
  }
  if (geteuid.call(own) !== 0) {
    return fail('usage_invalid', '--local-user is for root; as yourself, leave it out');
  }
  // The names of directories' users are known to the system alone: it tells them of whoever a process is.
  let user: ReturnType<typeof readUser>;
  try {
    seteuid.call(own, name);
    user = readUser();
  } catch {
    return fail('usage_invalid', '--local-user: there is no account of this name');
  } finally {
    seteuid.call(own, 0);
  }
  if (user.uid === 0) {
    return fail('usage_invalid', '--local-user must be the person who signs in, not root');
  }
  Reflect.apply(initgroups, own, [user.username, user.gid]);
  setgid.call(own, user.gid);
  setuid.call(own, user.uid);
  for (const variable of Object.keys(own.env)) {
    if (variable.startsWith('XDG_')) delete own.env[variable];
  }
  Object.assign(own.env, {
    HOME: user.homedir,
    USER: user.username,
    LOGNAME: user.username,
    XDG_RUNTIME_DIR: `/run/user/${user.uid}`,
  });
  return succeed(undefined);
}
