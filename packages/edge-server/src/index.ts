export { cloudflareSecrets } from './cloudflare-secrets.ts';
export { type Deployment, maxShardCount } from './data-directory/deployment.ts';
export {
  type DataDirectory,
  type DataDirectorySettings,
  ensureDataDirectory,
} from './data-directory/open-data-directory.ts';
export { EdgeServerError, type EdgeServerFailure } from './edge-server-error.ts';
export type { EdgeServerOptions } from './edge-server-options.ts';
export type { TlsFiles } from './front/tls-certificate.ts';
export { type IssuerCommandOutcome, runIssuerCommand } from './issuers/issuer-command.ts';
export {
  activateIssuerOf,
  type BrokerPlace,
  describeIssuers,
  type IssuerStatus,
  retireIssuer,
  waitUntilTrusted,
  withIssuerLock,
} from './issuers/issuer-operations.ts';
export {
  type IssuerRequest,
  importIssuerChain,
  makeNewIssuer,
  type PreparedIssuer,
  requestIssuer,
} from './issuers/prepare-issuer.ts';
export { discardIssuerRequest } from './issuers/retire-issuer.ts';
export { signIssuerRequest } from './issuers/sign-issuer-request.ts';
export type { LogFormat } from './logs.ts';
export { type RunningEdgeServer, startEdgeServer } from './start-edge-server.ts';
export { exportStateAt, importStateAt, makeKeysFolder } from './state/state-at-url.ts';
export { readPassphrase } from './state/state-commands.ts';
