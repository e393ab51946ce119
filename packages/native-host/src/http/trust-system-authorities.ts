import { getCACertificates, setDefaultCACertificates } from 'node:tls';

let isDone = false;

/**
 * Has TLS trust the authorities that the machine's administrator trusts, next to those that Node brings: a broker
 * inside a company often stands under the company's own. Browsers on the same machine trust them too.
 */
export function trustSystemAuthorities(): void {
  if (isDone) return;
  isDone = true;
  setDefaultCACertificates([
    ...new Set([...getCACertificates('default'), ...getCACertificates('system')]),
  ]);
}
