import { decisionReceipt } from '@countersign/policy';
import { readAuditFolder } from '../audit/exported-folder.ts';
import {
  type Command,
  type Context,
  type Input,
  lines,
  parameterOf,
  required,
  rows,
  type Section,
  type Shown,
} from '../command-line/command.ts';
import { findInLog } from '../verify-receipt/find-in-log.ts';
import { type VerifiedReceipt, verifyReceipt } from '../verify-receipt/index.ts';
import { ruleTable } from './policy-sections.ts';
import { readTextFile, segment } from './read-input.ts';
import { replaceFile } from './write-output.ts';

/** Receipts of decisions: for an auditor who asks in years, and who asks no broker. */

const time = (ms: number) => new Date(ms).toISOString();
const outcomeOf = ({ decision, pending }: VerifiedReceipt['record']) => {
  if (decision) return 'allowed';
  return pending === undefined ? 'denied' : 'waits for a factor';
};

function receiptSections({ claims, record, replay, rules }: VerifiedReceipt): Section[] {
  const { policy } = claims;
  return [
    rows(
      ['broker', claims.iss],
      ['organization', claims.org],
      ['decision', claims.decision_id],
      ['recorded', time(record.recorded_at_ms)],
      ['signed', time(claims.iat * 1000)],
      ['user', record.subject],
      ['application', record.application],
      ['outcome', `${outcomeOf(record)}, ${record.reason}`],
      ['trusted', record.device_trusted ? 'yes' : 'no'],
      ['device', record.device_id || undefined],
      ['rule', record.rule],
      ['policy', policy && `version ${policy.document.version}, SHA-256 ${policy.sha256}`],
      ['row', `${claims.row.chain}.${claims.row.sequence}, hash ${claims.row.hash}`],
    ),
    ...(replay.kind === 'not_asked' ? [] : [ruleTable(rules)]),
    lines(
      '',
      'The signature leads to the root, and the record is as it was signed.',
      replay.kind === 'same'
        ? 'Computed again, the policy decides alike.'
        : 'No policy was asked: the request was refused before that.',
    ),
  ];
}

async function verify(context: Context, input: Input): Promise<Shown> {
  const text = readTextFile(parameterOf(input, 0));
  const rootPem = readTextFile(required(input, '--root'));
  const verified = await verifyReceipt({ text, rootPem, nowMs: context.nowMs() });
  if (!verified.ok) {
    const { failure, detail } = verified;
    return {
      json: { ok: false, failure, detail },
      sections: [lines(`The receipt proves nothing: ${failure}: ${detail}.`)],
      failed: true,
    };
  }
  const { claims, record, replay, rules } = verified;
  const folder = input.option('--folder');
  const inLog =
    folder === undefined ? undefined : await findInLog(claims.row, readAuditFolder(folder).chains);
  const isInLog = inLog === undefined || inLog === 'found';
  const told = {
    found: 'The exported log has this very row.',
    changed: 'The exported log has another row in its place: log or receipt was made anew.',
    missing: 'The exported log does not have this row.',
  };
  return {
    json: { ok: isInLog, claims, record, replay: replay.kind, rules, in_log: inLog },
    sections: [...receiptSections(verified), ...(inLog === undefined ? [] : [lines(told[inLog])])],
    ...(isInLog ? {} : { failed: true }),
  };
}

export const receiptCommands: readonly Command[] = [
  {
    words: ['decisions', 'receipt'],
    parameters: ['DECISION', 'FILE'],
    help: 'Writes a signed receipt of a decision into a file, with all that verifies it but the root.',
    routes: ['GET /v1/admin/decisions/:id/receipt'],
    run: async (context, input) => {
      const [id, file] = [parameterOf(input, 0), parameterOf(input, 1)];
      const path = `/v1/admin/decisions/${segment(id)}/receipt`;
      const receipt = await context.client().get(path, decisionReceipt);
      replaceFile(file, `${JSON.stringify(receipt, undefined, 2)}\n`);
      return { json: receipt, sections: [lines(`The receipt of ${id} is in ${file}.`)] };
    },
  },
  {
    words: ['verify-receipt'],
    parameters: ['FILE'],
    options: {
      '--root': { value: 'CERT', help: "the organization's root certificate, PEM; needed" },
      '--folder': { value: 'DIR', help: 'of audit export: whether it has this very row' },
    },
    help: 'Verifies a receipt by the root alone, and decides once more. Asks no broker. Exit code 1 where it proves nothing.',
    routes: [],
    run: verify,
  },
];
