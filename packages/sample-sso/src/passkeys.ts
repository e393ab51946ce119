import type {
  AuthenticationResponseJSON,
  RegistrationResponseJSON,
  WebAuthnCredential,
} from '@simplewebauthn/server';
import * as z from 'zod/mini';

/** Loaded by the first ceremony: most sign-ins have none. */
const loadWebauthn = () => import('@simplewebauthn/server');

/** Where the person is: the origin in the address bar, and its host name, which passkeys belong to. */
export type Site = { readonly origin: string; readonly hostname: string };

/** What the browser's WebAuthn API returned, as JSON. Only the form; the library checks the rest. */
const credentialJson = z.looseObject({
  id: z.string().check(z.maxLength(2048)),
  rawId: z.string(),
  type: z.literal('public-key'),
  clientExtensionResults: z.looseObject({}),
  response: z.looseObject({ clientDataJSON: z.string() }),
});

function parseCredential(unverifiedJson: string): unknown {
  try {
    const parsed = z.safeParse(credentialJson, JSON.parse(unverifiedJson));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** WebAuthn works for host names alone, never for IP addresses. */
export function canUsePasskeys({ hostname }: Site): boolean {
  return /[a-z]/i.test(hostname) && !hostname.includes(':');
}

/**
 * The passkeys of this sample's users, in memory. Each ceremony asks for user verification, so that a passkey is two
 * factors in one and a stolen session cookie adds none.
 */
export class Passkeys {
  readonly #credentials = new Map<string, WebAuthnCredential[]>();
  readonly #siteTitle: string;

  constructor(siteTitle: string) {
    this.#siteTitle = siteTitle;
  }

  has(userName: string): boolean {
    return this.#of(userName).length > 0;
  }

  /** Options for `navigator.credentials.create()`; their `challenge` belongs to the session that asked. */
  async registrationOptions(userName: string, site: Site) {
    const { generateRegistrationOptions } = await loadWebauthn();
    return await generateRegistrationOptions({
      rpName: this.#siteTitle,
      rpID: site.hostname,
      userName,
      excludeCredentials: this.#of(userName).map(({ id }) => ({ id })),
      authenticatorSelection: { residentKey: 'preferred', userVerification: 'required' },
    });
  }

  async register(
    userName: string,
    unverifiedJson: string,
    expectedChallenge: string,
    site: Site,
  ): Promise<boolean> {
    const response = parseCredential(unverifiedJson);
    if (response === undefined) return false;
    const { verifyRegistrationResponse } = await loadWebauthn();
    try {
      const { verified, registrationInfo } = await verifyRegistrationResponse({
        response: response as RegistrationResponseJSON,
        expectedChallenge,
        expectedOrigin: site.origin,
        expectedRPID: site.hostname,
        requireUserVerification: true,
      });
      if (!verified) return false;
      this.#credentials.set(userName, [...this.#of(userName), registrationInfo.credential]);
      return true;
    } catch {
      return false;
    }
  }

  /** Options for `navigator.credentials.get()`. */
  async authenticationOptions(userName: string, site: Site) {
    const { generateAuthenticationOptions } = await loadWebauthn();
    return await generateAuthenticationOptions({
      rpID: site.hostname,
      allowCredentials: this.#of(userName).map(({ id }) => ({ id })),
      userVerification: 'required',
    });
  }

  /** True when one of the user's passkeys has signed this challenge on this site. */
  async verify(
    userName: string,
    unverifiedJson: string,
    expectedChallenge: string,
    site: Site,
  ): Promise<boolean> {
    const parsed = parseCredential(unverifiedJson);
    if (parsed === undefined) return false;
    const response = parsed as AuthenticationResponseJSON;
    const credential = this.#of(userName).find(({ id }) => id === response.id);
    if (credential === undefined) return false;
    const { verifyAuthenticationResponse } = await loadWebauthn();
    try {
      const { verified, authenticationInfo } = await verifyAuthenticationResponse({
        response,
        expectedChallenge,
        expectedOrigin: site.origin,
        expectedRPID: site.hostname,
        credential,
        requireUserVerification: true,
      });
      if (!verified) return false;
      const { newCounter: counter } = authenticationInfo;
      this.#credentials.set(
        userName,
        this.#of(userName).map((each) => (each.id === credential.id ? { ...each, counter } : each)),
      );
      return true;
    } catch {
      return false;
    }
  }

  #of(userName: string): readonly WebAuthnCredential[] {
    return this.#credentials.get(userName) ?? [];
  }
}
