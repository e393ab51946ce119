import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { Figure } from './figures.ts';

const dist = (path: string) => fileURLToPath(new URL(`../../dist/${path}`, import.meta.url));
const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(1)} KB`;

/** Sizes of what is shipped, as built. */
export function measureSizes(extensionZip: string): Figure[] {
  const gzipped = (path: string) => gzipSync(readFileSync(dist(path)), { level: 9 }).length;
  const worker = gzipped('worker/index.js');
  const attest = gzipped('sso-sdk/attest.js');
  return [
    {
      name: 'worker script, gzip',
      value: kilobytes(worker),
      target: '≤ 220 KB',
      note: `${kilobytes(statSync(dist('worker/index.js')).size)} before compression`,
    },
    {
      name: 'attest(), gzip',
      value: kilobytes(attest),
      target: '≤ 4 KB',
      note: `${kilobytes(statSync(dist('sso-sdk/attest.js')).size)} before compression`,
    },
    {
      name: 'extension package, zip',
      value: kilobytes(statSync(extensionZip).size),
      target: '≤ 60 KB',
      note: 'Chromium, Manifest V3',
    },
  ];
}
