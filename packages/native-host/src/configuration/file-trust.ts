import { lstatSync, readlinkSync } from 'node:fs';
import { posix } from 'node:path';

/** What is looked at for each step of a path; replaced in tests, where nothing belongs to root. */
export type PathFacts = {
  readonly uid: number;
  readonly mode: number;
  readonly isSymbolicLink: boolean;
  readonly linkTarget?: string;
};
export type ReadPathFacts = (path: string) => PathFacts;

const groupAndOthersMayWrite = 0o022;
const maxLinks = 16;

/**
 * Why somebody other than root could change what is read at `path` (absolute), or `undefined` when nobody can: the
 * file, every folder above it, every link on the way and every folder above its target belong to root, and neither
 * group nor others may write to them. A sticky folder like /tmp counts as writable.
 */
export function findOutsideInfluence(
  path: string,
  readPathFacts: ReadPathFacts = readPathFactsFromDisk,
): string | undefined {
  let linksLeft = maxLinks;
  const steps = path.split('/').filter((step) => step !== '');
  let reached = '/';
  const rootProblem = problemWith('/', readPathFacts('/'));
  if (rootProblem !== undefined) return rootProblem;
  for (let step = steps.shift(); step !== undefined; step = steps.shift()) {
    const next = posix.join(reached, step);
    const facts = readPathFacts(next);
    const problem = problemWith(next, facts);
    if (problem !== undefined) return problem;
    if (!facts.isSymbolicLink) reached = next;
    else if (linksLeft-- === 0) return `${next}: too many symbolic links`;
    else {
      const target = facts.linkTarget ?? '';
      steps.unshift(...target.split('/').filter((part) => part !== ''));
      if (target.startsWith('/')) reached = '/';
    }
  }
  return undefined;
}

function problemWith(path: string, facts: PathFacts): string | undefined {
  if (facts.uid !== 0) return `${path} belongs to uid ${facts.uid}, not to root`;
  // A link has no permissions of its own.
  return !facts.isSymbolicLink && (facts.mode & groupAndOthersMayWrite) !== 0
    ? `${path} may be written by others than root`
    : undefined;
}

function readPathFactsFromDisk(path: string): PathFacts {
  const stats = lstatSync(path);
  return stats.isSymbolicLink()
    ? { uid: stats.uid, mode: stats.mode, isSymbolicLink: true, linkTarget: readlinkSync(path) }
    : { uid: stats.uid, mode: stats.mode, isSymbolicLink: false };
}
