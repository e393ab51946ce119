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
  /** Its key is here; the root has yet to sign its certificate, elsewhere. */
  readonly requested: IssuerName | undefined;
};

export const firstIssuers: Issuers = { active: ['issuer'], requested: undefined };

function isIssuerName(text: string): text is IssuerName {
  return /^issuer(-([2-9]|[1-9][0-9]{1,3}))?$/.test(text);
}

const name = z.string().check(z.refine(isIssuerName, { error: 'must be like issuer-2' }));
const issuersFile = z
  .strictObject({
    version: z.literal(1),
    active: z.array(name).check(z.minLength(1), z.maxLength(2)),
    requested: z.optional(name),
  })
  .check(
    z.refine(
      ({ active, requested }) => {
        const all = requested === undefined ? active : [...active, requested];
        // Two at most: the broker has room for no third one.
        return new Set(all).size === all.length && all.length <= 2;
      },
      { error: 'names one issuer twice, or more than two' },
    ),
  );

/** The number of an issuer's generation. */
function numberOf(issuer: IssuerName): number {
  return issuer === 'issuer' ? 1 : Number(issuer.slice('issuer-'.length));
}

/** All that are named, the one without a certificate last. */
export function issuerNames({ active, requested }: Issuers): readonly IssuerName[] {
  return requested === undefined ? active : [...active, requested];
}

/** A name that none of these had, nor any before them. */
export function nextIssuerName(issuers: Issuers): IssuerName {
  return `issuer-${Math.max(...issuerNames(issuers).map(numberOf)) + 1}`;
}

export function formatIssuers({ active, requested }: Issuers): string {
  const file = { version: 1, active, ...(requested === undefined ? {} : { requested }) };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

/**
 * @param path for the message only
 * @throws EdgeServerError `data_directory_unusable` when the file is damaged or of another version
 */
export function parseIssuers(content: string, path: string): Issuers {
  const { active, requested } = parseDataFile(issuersFile, content, path);
  const [first = 'issuer', second] = active.filter(isIssuerName);
  return {
    active: second === undefined ? [first] : [first, second],
    requested: requested === undefined || !isIssuerName(requested) ? undefined : requested,
  };
}

/** @throws EdgeServerError `data_directory_unusable` */
export function readIssuers(paths: DataPaths): Issuers {
  return parseIssuers(readFileSync(paths.issuers, 'utf8'), paths.issuers);
}

export function writeIssuers(paths: DataPaths, issuers: Issuers): void {
  replaceFile(paths.issuers, formatIssuers(issuers));
}
