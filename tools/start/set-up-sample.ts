import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { DemoBrokerClient } from './broker-client.ts';
import { keepPrivateText, randomText } from './private-file.ts';

/** The sample site's names in the broker's directory. */
export const sampleApplicationId = 'sample';
export const sampleClientId = 'sample-sso';

/** Both names under which a browser reaches the site on this machine. */
export function sampleOrigins(port: number): string[] {
  return [`http://127.0.0.1:${port}`, `http://localhost:${port}`];
}

export function clientSecretPath(dataDirectory: string): string {
  return join(dataDirectory, 'demo', 'client-secret');
}

/** Made once; only its hash ever leaves this machine's file. */
export function keepClientSecret(dataDirectory: string): string {
  return keepPrivateText(clientSecretPath(dataDirectory), () => randomText(32));
}

/** Registers application and client; says whether anything changed. */
export async function setUpSample(
  broker: DemoBrokerClient,
  clientSecret: string,
  origins: readonly string[],
) {
  // Rules that somebody tries out stay, whatever they make of the sign-in that is shown.
  const hasRules = await broker.hasRules(sampleApplicationId);
  const application = hasRules
    ? { changed: false }
    : await broker.putApplication(sampleApplicationId, {
        name: 'Sample application',
        enforcement: 'enforce',
      });
  const client = await broker.putClient(sampleClientId, {
    name: 'Sample sign-in site',
    origins: [...origins],
    applications: [sampleApplicationId],
    authentication: {
      method: 'client_secret',
      secret_sha256: createHash('sha256').update(clientSecret).digest('base64url'),
    },
  });
  return { application, client, hasRules };
}
