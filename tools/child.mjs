// Child processes that never outlive this one: signals are passed on, and one that does not heed them is ended.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/** How long a child may take to end after it was told to. */
const graceMilliseconds = 20_000;

/** A second signal after this time ends a child at once. */
const impatienceMilliseconds = 1_000;

/** @type {NodeJS.Signals[]} */
const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * @typedef {object} ChildOptions
 * @property {string} cwd
 * @property {Record<string, string | undefined>} env
 * @property {'shown' | 'kept'} output shown as it comes, or kept and returned
 * @property {boolean} [ownGroup] the child leads a process group of its own, which is ended as a whole;
 *   such a child must not read from the terminal
 */

/**
 * Runs a program to its end.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {ChildOptions} options
 * @returns {Promise<{ code: number, output: string }>} `code` is 128 + the signal's number for a child that
 *   ended by a signal
 */
export function runChild(command, args, { cwd, env, output, ownGroup = false }) {
  return new Promise((resolve, reject) => {
    const grouped = ownGroup && process.platform !== 'win32';
    const shown = output === 'shown' ? 'inherit' : 'pipe';
    const child = spawn(command, args, {
      cwd,
      env,
      detached: grouped,
      stdio: [grouped || output === 'kept' ? 'ignore' : 'inherit', shown, shown],
      // The commands of node_modules/.bin are .cmd files on Windows, which only a shell starts.
      shell: process.platform === 'win32' && !command.endsWith('.exe'),
    });
    /** @type {Buffer[]} */
    const chunks = [];
    child.stdout?.on('data', (chunk) => chunks.push(chunk));
    child.stderr?.on('data', (chunk) => chunks.push(chunk));

    /** @param {NodeJS.Signals} signal */
    const send = (signal) => {
      try {
        if (grouped && child.pid !== undefined) process.kill(-child.pid, signal);
        else child.kill(signal);
      } catch (error) {
        // The group has ended already.
        if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ESRCH') throw error;
      }
    };
    /** @type {NodeJS.Timeout | undefined} */
    let deadline;
    let firstSignalAt = 0;
    /** @param {NodeJS.Signals} signal */
    const passOn = (signal) => {
      if (deadline !== undefined) {
        // One Ctrl-C can arrive twice, from the terminal and from npm; a later one is impatience.
        if (performance.now() - firstSignalAt > impatienceMilliseconds) send('SIGKILL');
        return;
      }
      firstSignalAt = performance.now();
      deadline = setTimeout(() => send('SIGKILL'), graceMilliseconds);
      // The terminal sends Ctrl-C to its whole foreground group, so such a child has it already.
      if (grouped || signal !== 'SIGINT' || process.stdin.isTTY !== true) send(signal);
    };
    const stopListening = () => {
      clearTimeout(deadline);
      for (const signal of endingSignals) process.off(signal, passOn);
    };
    for (const signal of endingSignals) process.on(signal, passOn);

    child.on('error', (error) => {
      stopListening();
      reject(error);
    });
    child.on('close', (code, signal) => {
      stopListening();
      // What a child left behind in its group (a browser, a server) ends with it.
      if (grouped) send('SIGKILL');
      const byDeath = signal === null ? 1 : 128 + constants.signals[signal];
      resolve({ code: code ?? byDeath, output: Buffer.concat(chunks).toString() });
    });
  });
}
