import { browserApi } from '../../browser-api.ts';
import type { ExtensionMessage } from '../../challenge/extension-messages.ts';
import { gatherFacts } from '../../diagnostics/browser-facts.ts';
import { detailsAsText } from '../../diagnostics/details.ts';
import { type Diagnosis, diagnose, diagnosisOfFailure } from '../../diagnostics/diagnose.ts';
import { messageOf } from '../../native-host/browser-errors.ts';
import { createNativeHost } from '../../native-host/native-host.ts';
import { elementOf, showChecking, showDiagnosis } from './show-diagnosis.ts';

const host = createNativeHost(browserApi.runtime, () => crypto.randomUUID());
let latest: Diagnosis | undefined;

async function check(): Promise<void> {
  latest = await diagnosisNow();
  showDiagnosis(document, latest);
}

async function diagnosisNow(): Promise<Diagnosis> {
  try {
    return diagnose(await gatherFacts(browserApi, host, new Date()));
  } catch (error) {
    return diagnosisOfFailure(messageOf(error));
  }
}

async function checkAgain(): Promise<void> {
  showChecking(document);
  const message: ExtensionMessage = { type: 'synchronize' };
  // Should the background not answer, the facts below show what that left undone.
  await browserApi.runtime.sendMessage(message).catch(() => undefined);
  await check();
}

async function copyDetails(): Promise<void> {
  if (latest === undefined) return;
  const copied = await navigator.clipboard
    .writeText(detailsAsText(latest.headline, latest.details))
    .then(() => true)
    .catch(() => false);
  elementOf(document, 'copied').textContent = copied ? 'Copied' : 'The browser refused to copy.';
}

elementOf(document, 'check-again').addEventListener('click', () => void checkAgain());
elementOf(document, 'copy-details').addEventListener('click', () => void copyDetails());
void check();
