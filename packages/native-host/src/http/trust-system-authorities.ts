let isDone = false;

/**
 * Has TLS trust the authorities that the machine's administrator trusts, next to those that Node brings: a broker
 * inside a company often stands under the company's own. Browsers on the same machine trust them too.
 */
export async function trustSystemAuthorities(): Promise<void> {
  if (isDone) return;
  // Not imported above: in a bundle that would load TLS for every sign-in, and most need no network.
  const { getCACertificates, setDefaultCACertificates } = await import('node:tls');
  isDone = true;
  setDefaultCACertificates([
    ...new Set([...getCACertificates('default'), ...getCACertificates('system')]),
  ]);
}
