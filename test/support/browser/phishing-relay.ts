import { request } from 'node:https';
import { packEvidence, type UnavailableCode } from '@countersign/protocol';
import { BrokerClient } from '@countersign/testkit/broker-client';
import { type SignInOutcome, samplePassword } from './sign-in-page.ts';
import type { SignInWorld } from './sign-in-world.ts';

/** A sign-in that an attacker has begun on a machine of his own, and wants a victim's device to answer for. */
export type RelayedSignIn = {
  /** The real broker's challenge for the attacker's own transaction. */
  readonly challenge: string;
  /** Sends the real site's form with stolen credentials and what the device gave. */
  finish(given: { response: string } | { unavailable: UnavailableCode }): Promise<SignInOutcome>;
};

/** Opens the real site's sign-in without a browser and gets a challenge for it, with the `Origin` that it expects. */
export async function beginRelayedSignIn(world: SignInWorld): Promise<RelayedSignIn> {
  const opened = await callSite(world, 'GET', '/');
  const transaction = firstMatch(opened.body, /data-transaction="([^"]+)"/);
  const cookie = firstMatch(opened.cookie, /^([^;]+)/);
  const { brokerUrl, ownerToken, client } = world;
  const broker = new BrokerClient({ fetch, brokerUrl, ownerToken });
  const challenge = await broker.challenge(client, transaction);
  return {
    challenge,
    async finish(given) {
      const evidence = packEvidence({
        unverifiedChallenge: challenge,
        ...('response' in given
          ? { unverifiedResponse: given.response }
          : { reportedUnavailable: given.unavailable }),
      });
      const form = new URLSearchParams({ username: 'ada', password: samplePassword, evidence });
      const { body } = await callSite(world, 'POST', '/sign-in', form.toString(), cookie);
      const shown = (name: string) =>
        firstMatch(body, new RegExp(`data-testid="${name}">([^<]*)<`));
      return {
        outcome: shown('outcome'),
        reasonCode: shown('reason-code'),
        decisionId: shown('decision-id'),
      };
    },
  };
}

function firstMatch(text: string, pattern: RegExp): string {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`no ${pattern} in: ${text}`);
  return found;
}

function callSite(
  world: SignInWorld,
  method: 'GET' | 'POST',
  path: string,
  body = '',
  cookie = '',
): Promise<{ readonly body: string; readonly cookie: string }> {
  const site = new URL(world.ssoOrigin);
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port: site.port,
        servername: site.hostname,
        ca: world.webAuthorityPem,
        method,
        path,
        timeout: 10_000,
        headers: {
          Host: site.host,
          Origin: site.origin,
          Cookie: cookie,
          'Content-Type': 'application/x-www-form-urlencoded',
        },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({ body: text, cookie: response.headers['set-cookie']?.[0] ?? '' }),
        );
      },
    );
    sent.on('timeout', () => sent.destroy(new Error(`${method} ${path} took too long`)));
    sent.on('error', reject);
    sent.end(body);
  });
}
