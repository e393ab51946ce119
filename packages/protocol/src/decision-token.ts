import * as z from 'zod/mini';
import { base64urlOf, numericDate, sha256Text } from './schemas.ts';

export const decisionTokenTyp = 'decision+jwt';

/** Claims of the decision token, a JWS by the broker (ES256; keys at `/.well-known/jwks.json`). */
export const decisionTokenClaims = z.object({
  iss: z.url(),
  /** The client that asked. */
  aud: z.string(),
  sub: z.string(),
  jti: base64urlOf(16),
  iat: numericDate,
  exp: numericDate,
  application: z.string(),
  action: z.string(),
  transaction_hash: sha256Text,
  decision: z.boolean(),
  reason_code: z.string(),
  device_trusted: z.boolean(),
  decision_id: z.string(),
});
export type DecisionTokenClaims = z.infer<typeof decisionTokenClaims>;
