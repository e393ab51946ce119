import { unpackEvidence } from '@countersign/protocol';
import { reasonTexts } from '@countersign/protocol/reason-texts';
import type { DemoBrokerClient } from '../start/broker-client.ts';
import type { Report } from '../start/report.ts';
import type { PageRequest } from './demo-browser.ts';

/** Says in the terminal what each step of a sign-in is, while it happens. */
export function explainRequests(report: Report, window: string, siteUrl: string) {
  const { origin } = new URL(siteUrl);
  return ({ method, url, body }: PageRequest): void => {
    const isSite = url.origin === origin;
    if (isSite && method === 'GET' && url.pathname === '/') {
      report.title(`${window}: the sign-in page is open`);
    } else if (!isSite && method === 'POST' && url.pathname === '/v1/challenges') {
      report.row('page', 'asks the broker for a challenge: good for this sign-in alone, for 60 s');
    } else if (isSite && method === 'POST' && url.pathname === '/sign-in') {
      explainEvidence(report, new URLSearchParams(body).get('evidence') ?? '');
    } else if (isSite && method === 'POST' && url.pathname === '/step-up') {
      report.row('page', 'sends what the passkey has signed');
    }
  };
}

function explainEvidence(report: Report, evidence: string): void {
  const parts = unpackEvidence(evidence);
  if (parts?.unverifiedResponse !== undefined) {
    report.row(
      'extension',
      'took the challenge to the native host, with the origin that the browser reports',
    );
    report.row('native host', "checked it, and signed it with the device's own key");
  } else if (parts?.reportedUnavailable !== undefined) {
    report.row('page', `no device answered: ${parts.reportedUnavailable}`);
  } else {
    report.row('page', 'has no evidence to send');
  }
  report.row('page', 'sends user name, password and evidence to the sign-in server');
}

const decisionLine = /^(allowed|denied|pending) (\w+) (\d+\.\d+)$/;

/**
 * What the broker decided, from a line of the sample site's log and the broker's record.
 *
 * @returns whether the line was of a decision
 */
export async function explainDecision(
  report: Report,
  broker: DemoBrokerClient,
  line: string,
): Promise<boolean> {
  const [, word = '', reason = '', decisionId = ''] = decisionLine.exec(line) ?? [];
  if (decisionId === '') return false;
  const record = await broker.decisionRecord(decisionId);
  if (record.certificate_sha256 !== undefined) {
    const { response } = record;
    report.row(
      'broker',
      `knows the certificate ${record.certificate_sha256}`,
      ...(response === undefined
        ? []
        : [
            `the browser was on ${response.origin}; the key is kept in: ${response.key_protection}`,
          ]),
      ...(record.bound_now ? ['its first user: from now on it is theirs'] : []),
    );
  }
  const isAllowed = word === 'allowed';
  report.outcome('decision', isAllowed, word, `${reason}, on record as ${decisionId}`);
  const texts = new Map(Object.entries(reasonTexts)).get(reason);
  if (texts !== undefined) report.row('', texts.administrator);
  return true;
}
