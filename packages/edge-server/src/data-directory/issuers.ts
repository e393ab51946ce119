import { readFileSync } from 'node:fs';
import * as z from 'zod/mini';
import { replaceFile } from './durable-files.ts';
import type { DataPaths } from './layout.ts';
import { parseDataFile } from './parse-data-file.ts';

/**
 * Which issuing authorities there are: `issuers.json`. Only one that is named there counts, and that file is replaced as
 * a whole: each step of a rollover is that one replacement, and what a crash leaves besides is swept away later.
 */

/** `issuer` is the first one that a folder has; later ones are `issuer-2`, `issuer-3` and so on. Never used again. */
export type IssuerName = 'issuer' | `issuer-${number}`;

export type Issuers = {
  /** Key and certificate are here: the broker's, in the order in which they came. */
  readonly active: readonly [IssuerName] | readonly [IssuerName, IssuerName];
  /** Its key is here; the root has yet to sign its certificate, perhaps elsewhere. */
  readonly requested: IssuerName | undefined;
  /** Number of the next one. */
  readonly next: number;
};

export const firstIssuers: Issuers = { active: ['issuer'], requested: undefined, next: 2 };

export function isIssuerName(text: string): text is IssuerName {
  return /^issuer(-([2-9]|[1-9][0-9]{1,3}))?$/.test(text);
}

/** Which generation an issuer is of. */
export function issuerNumber(name: IssuerName): number {
  return name === 'issuer' ? 1 : Number(name.slice('issuer-'.length));
}

const name = z.string().check(z.refine(isIssuerName, { error: 'must be like issuer-2' }));
const issuersFile = z
  .strictObject({
    version: z.literal(1),
    active: z.array(name).check(z.minLength(1), z.maxLength(2)),
    requested: z.optional(name),
    next: z.int().check(z.minimum(2), z.maximum(9_999)),
  })
  .check(
    z.refine(
      ({ active, requested, next }) => {
        const all = requested === undefined ? active : [...active, requested];
        // Two at most: the broker has room for no third one.
        const isFew = new Set(all).size === all.length && all.length <= 2;
        return isFew && all.filter(isIssuerName).every((each) => issuerNumber(each) < next);
      },
      { error: 'names one issuer twice, more than two, or one that is yet to come' },
    ),
  );

/** All that are named, the one without a certificate last. */
export function issuerNames({ active, requested }: Issuers): readonly IssuerName[] {
  return requested === undefined ? active : [...active, requested];
}

export function formatIssuers({ active, requested, next }: Issuers): string {
  const named = { active, ...(requested === undefined ? {} : { requested }) };
  return `${JSON.stringify({ version: 1, ...named, next }, undefined, 2)}\n`;
}

/**
 * @param path for the message only
 * @throws EdgeServerError `data_directory_unusable` when the file is damaged or of another version
 */
export function parseIssuers(content: string, path: string): Issuers {
  const { active, requested, next } = parseDataFile(issuersFile, content, path);
  const [first = 'issuer', second] = active.filter(isIssuerName);
  return {
    active: second === undefined ? [first] : [first, second],
    requested: requested === undefined || !isIssuerName(requested) ? undefined : requested,
    next,
  };
}

/** @throws EdgeServerError `data_directory_unusable` */
export function readIssuers(paths: DataPaths): Issuers {
  return parseIssuers(readFileSync(paths.issuers, 'utf8'), paths.issuers);
}

export function writeIssuers(paths: DataPaths, issuers: Issuers): void {
  replaceFile(paths.issuers, formatIssuers(issuers));
}
