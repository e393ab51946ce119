import { randomBytes } from 'node:crypto';

/** 32 random bytes: the name of a session or of anything else that a cookie stands for. */
export function randomId(): string {
  return randomBytes(32).toString('base64url');
}
