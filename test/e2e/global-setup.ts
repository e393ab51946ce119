import type { TestProject } from 'vitest/node';
import { removeBrowserPolicy } from '../support/browser/browser-policy.ts';
import { removeFirefoxHost } from '../support/browser/firefox-session.ts';
import { bakeProfile } from '../support/browser/managed-session.ts';
import { type SignInWorld, startSignInWorld } from '../support/browser/sign-in-world.ts';
import { takeTurn } from '../support/browser/take-turn.ts';

declare module 'vitest' {
  interface ProvidedContext {
    readonly world: SignInWorld;
    /** A browser profile in which policy and extension have already arrived. Tests start from copies of it. */
    readonly bakedProfile: string;
  }
}

/** Starts one company for all files of this folder. Policy holds for the machine, so files and runs go one by one. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  if (process.getuid?.() !== 0) {
    throw new Error('browser policy lies in /etc/chromium: run these tests as root');
  }
  const endTurn = await takeTurn();
  const { world, stop, removeFolders } = await startSignInWorld();
  const leaveNoTrace = () => {
    removeBrowserPolicy();
    removeFirefoxHost({ scope: 'system' });
    removeFolders();
  };
  // Also when the run is interrupted: the policy would stay in force for the machine's own browser.
  process.once('exit', leaveNoTrace);
  const tearDown = async () => {
    await stop();
    leaveNoTrace();
    // From then on the policy may be that of the next run, which this process may still see begin.
    process.off('exit', leaveNoTrace);
    await endTurn();
  };
  try {
    project.provide('bakedProfile', await bakeProfile(world));
    project.provide('world', world);
    return tearDown;
  } catch (error) {
    await tearDown();
    throw error;
  }
}
