import { packEvidence, type UnavailableCode } from '@countersign/protocol';
import { askExtension } from './ask-extension.ts';
import { requestChallenge } from './request-challenge.ts';
import { requestMtlsEvidence } from './request-mtls-evidence.ts';

export type AttestOptions = {
  /** The broker's public URL, for example `https://countersign.example.com`. */
  readonly brokerUrl: string;
  /** This sign-in site's client id at the broker; the page's origin must be registered for it. */
  readonly clientId: string;
  /** `createTransaction()` of the sign-in server, the one that it also keeps in its cookie. */
  readonly transaction: string;
  /** How long the broker, and then the extension, may each take. Default 15,000. */
  readonly timeoutMs?: number;
  /** Stops waiting; `attest()` then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
};

export type Attestation = {
  /** Opaque; goes to the sign-in server with the form, as it is. */
  readonly evidence: string;
  /** Set when no device answered, with the reason. The evidence says so too, and the broker decides on it. */
  readonly unavailable?: UnavailableCode;
};

/**
 * Asks this browser to prove the device that it runs on: through the extension and, where the broker has an mTLS
 * address, with its client certificate at the same time. To be called when the person submits the sign-in form, because
 * a challenge lives for 60 seconds.
 *
 * Once there is a challenge it resolves, whatever the extension does: post the evidence in every case and let the
 * sign-in server ask for the decision. Rejects with `AttestError` when there is no challenge, and with the reason of
 * `signal` when that aborts.
 */
export async function attest(options: AttestOptions): Promise<Attestation> {
  const { brokerUrl, clientId, transaction, timeoutMs = 15_000, signal } = options;
  const { challenge, mtlsUrl } = await requestChallenge(
    brokerUrl,
    { client_id: clientId, transaction },
    timeoutMs,
    signal,
  );
  const mtls = mtlsUrl === undefined ? undefined : requestMtlsEvidence(mtlsUrl, challenge);
  const stop = () => mtls?.stop();
  signal?.addEventListener('abort', stop);
  try {
    const answer = await askExtension(challenge, timeoutMs, signal);
    if (answer.ok) mtls?.hurry();
    const unverifiedMtlsEvidence = await mtls?.evidence;
    signal?.throwIfAborted();
    const evidence = packEvidence({
      unverifiedChallenge: challenge,
      ...(answer.ok
        ? { unverifiedResponse: answer.response }
        : { reportedUnavailable: answer.code }),
      ...(unverifiedMtlsEvidence === undefined ? {} : { unverifiedMtlsEvidence }),
    });
    return answer.ok || unverifiedMtlsEvidence !== undefined
      ? { evidence }
      : { evidence, unavailable: answer.code };
  } finally {
    signal?.removeEventListener('abort', stop);
    stop();
  }
}
