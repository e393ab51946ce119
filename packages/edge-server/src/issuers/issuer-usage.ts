/** `countersign-server issuer`, apart from what it does: the server itself needs none of it. */
export const issuerActions = [
  'status',
  'new',
  'csr',
  'sign',
  'import',
  'activate',
  'retire',
  'discard',
  'secrets',
] as const;
export type IssuerAction = (typeof issuerActions)[number];

export function isIssuerAction(name: string | undefined): name is IssuerAction {
  return issuerActions.some((action) => action === name);
}

export const issuerUsage = `  countersign-server issuer status
      says which issuers there are, which one issues, and how many certificates of each still count
  countersign-server issuer new
      makes a second issuer with the root key in the data folder; a server that runs on it trusts both from then on
  countersign-server issuer csr --output FILE
      for a root key that is kept elsewhere: makes the second issuer's key and writes the request for the root
  countersign-server issuer sign --input FILE --root-certificate FILE --root-key FILE --output FILE
      where the root key is: answers the request with a chain; needs no data folder
  countersign-server issuer import --input FILE
      takes that chain, after every check; from then on like "new"
  countersign-server issuer activate [--issuer NAME]
      has new certificates issued by it; without a name by the newest
  countersign-server issuer retire --issuer NAME [--override]
      ends the trust in an issuer on which no certificate depends any more, and removes its key
  countersign-server issuer discard
      gives up an issuer whose certificate has not come
  countersign-server issuer secrets
      for a broker on Cloudflare: the secrets of all issuers as JSON, for "wrangler secret bulk"
These know only --data, --broker-url and --worker of the options above, and --cloudflare, for a broker that is asked at
its URL because it runs there.
`;
