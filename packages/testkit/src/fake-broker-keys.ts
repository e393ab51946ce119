import { createHash, randomBytes } from 'node:crypto';
import {
  type ChallengeClaims,
  challengeClaims,
  challengeTyp,
} from '@countersign/protocol/challenge';
import { type DecisionTokenClaims, decisionTokenTyp } from '@countersign/protocol/decision-token';
import { challengeTtlSeconds, decisionTokenTtlSeconds } from '@countersign/protocol/limits';
import {
  CompactEncrypt,
  CompactSign,
  calculateJwkThumbprint,
  compactDecrypt,
  compactVerify,
  exportJWK,
  generateKeyPair,
} from 'jose';

/** SHA-256 of a text's UTF-8 bytes, base64url. */
export const sha256Text = (text: string) => createHash('sha256').update(text).digest('base64url');

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const parse = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));

async function makeKey(algorithm: 'ES256' | 'ECDH-ES') {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const publicJwk = await exportJWK(publicKey);
  return { publicKey, privateKey, publicJwk, kid: await calculateJwkThumbprint(publicJwk) };
}

/** The fake broker's keys, one per purpose as at the real one. */
export async function makeFakeBrokerKeys() {
  const challengeKey = await makeKey('ES256');
  const decisionKey = await makeKey('ES256');
  const responseKey = await makeKey('ECDH-ES');
  const { x = '', y = '' } = responseKey.publicJwk;

  return {
    decisionKey,
    jwks: {
      keys: [
        {
          ...decisionKey.publicJwk,
          kid: decisionKey.kid,
          alg: 'ES256',
          use: 'sig',
          purpose: 'decision',
        },
      ],
    },

    async signChallenge(input: {
      issuer: string;
      clientId: string;
      transaction: string;
      origins: string[];
      nowSeconds: number;
    }): Promise<string> {
      const claims: ChallengeClaims = {
        iss: input.issuer,
        aud: `org_${'0'.repeat(22)}`,
        jti: randomBytes(16).toString('base64url'),
        iat: input.nowSeconds,
        exp: input.nowSeconds + challengeTtlSeconds,
        client_id: input.clientId,
        transaction_hash: sha256Text(input.transaction),
        origins: input.origins,
        response_encryption: {
          kid: responseKey.kid,
          jwk: { kty: 'EC', crv: 'P-256', x, y },
        },
      };
      return new CompactSign(json(claims))
        .setProtectedHeader({ alg: 'ES256', kid: challengeKey.kid, typ: challengeTyp })
        .sign(challengeKey.privateKey);
    },

    /** The claims when this broker signed the challenge. */
    async openChallenge(unverifiedChallenge: string): Promise<ChallengeClaims | undefined> {
      try {
        const { payload } = await compactVerify(unverifiedChallenge, challengeKey.publicKey);
        return challengeClaims.parse(parse(payload));
      } catch {
        return undefined;
      }
    },

    async signDecisionToken(
      claims: Omit<DecisionTokenClaims, 'jti' | 'iat' | 'exp'> & { iat: number },
    ): Promise<string> {
      const jti = randomBytes(16).toString('base64url');
      return new CompactSign(json({ ...claims, jti, exp: claims.iat + decisionTokenTtlSeconds }))
        .setProtectedHeader({ alg: 'ES256', kid: decisionKey.kid, typ: decisionTokenTyp })
        .sign(decisionKey.privateKey);
    },

    /** What a managed device answers here: encrypted to the broker, naming the challenge. */
    async makeResponse(challengeId: string): Promise<string> {
      return new CompactEncrypt(json({ challenge_id: challengeId }))
        .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: responseKey.kid })
        .encrypt(responseKey.publicKey);
    },

    /** True when the response is one of `makeResponse()` for this challenge. */
    async isResponseTo(unverifiedResponse: string, challengeId: string): Promise<boolean> {
      try {
        const { plaintext } = await compactDecrypt(unverifiedResponse, responseKey.privateKey);
        return (
          new TextDecoder().decode(plaintext) === JSON.stringify({ challenge_id: challengeId })
        );
      } catch {
        return false;
      }
    },
  };
}
