import {
  type IssuerName,
  type Issuers,
  readIssuers,
  writeIssuers,
} from '../data-directory/issuers.ts';
import type { DataDirectory } from '../data-directory/open-data-directory.ts';
import { issuerRefused } from './issuer-error.ts';

/**
 * Takes an issuer out of the data folder, after the broker has retired it. Its files go when nothing reads them any
 * more: `sweepIssuerFiles`.
 *
 * @throws EdgeServerError `issuer_refused` for the last one
 */
export function removeIssuer({ paths }: DataDirectory, name: IssuerName): Issuers {
  const issuers = readIssuers(paths);
  const [first, second] = issuers.active;
  if (second === undefined) {
    throw issuerRefused(`${first} is the only issuer: prepare and activate another one first.`);
  }
  const rest: Issuers = { ...issuers, active: [first === name ? second : first] };
  writeIssuers(paths, rest);
  return rest;
}

/** Gives up an issuer whose certificate has not come; its key is removed with the next sweep. */
export function discardIssuerRequest({ paths }: DataDirectory): IssuerName {
  const { active, requested, next } = readIssuers(paths);
  if (requested === undefined) throw issuerRefused('No certificate is awaited.');
  writeIssuers(paths, { active, requested: undefined, next });
  return requested;
}
