import { env, SELF } from 'cloudflare:test';
import { BrokerClient } from '@countersign/testkit/broker-client';
import type { Environment } from '@countersign/worker/environment';

declare global {
  namespace Cloudflare {
    interface Env extends Environment {
      readonly TEST_OWNER_TOKEN: string;
    }
  }
}

/** The worker of this test run, called over its own HTTP interface. */
export const broker = new BrokerClient({
  fetch: (url, init) => SELF.fetch(url, init),
  brokerUrl: env.BROKER_URL,
  ownerToken: env.TEST_OWNER_TOKEN,
});
