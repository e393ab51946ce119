import { browserApi } from '../../browser-api.ts';
import type { ExtensionMessage } from '../../challenge/extension-messages.ts';
import { gatherFacts } from '../../diagnostics/browser-facts.ts';
import { detailsAsText } from '../../diagnostics/details.ts';
import { type Diagnosis, diagnose } from '../../diagnostics/diagnose.ts';
import { createNativeHost } from '../../native-host/native-host.ts';
import { elementOf, showChecking, showDiagnosis } from './show-diagnosis.ts';

const host = createNativeHost(browserApi.runtime, () => crypto.randomUUID());
let latest: Diagnosis | undefined;

async function check(): Promise<void> {
  latest = diagnose(await gatherFacts(browserApi, host, new Date()));
  showDiagnosis(document, latest);
}

async function checkAgain(): Promise<void> {
  showChecking(document);
  const message: ExtensionMessage = { type: 'synchronize' };
  await browserApi.runtime.sendMessage(message);
  await check();
}

async function copyDetails(): Promise<void> {
  if (latest === undefined) return;
  await navigator.clipboard.writeText(detailsAsText(latest.headline, latest.details));
  elementOf(document, 'copied').textContent = 'Copied';
}

elementOf(document, 'check-again').addEventListener('click', () => void checkAgain());
elementOf(document, 'copy-details').addEventListener('click', () => void copyDetails());
void check();
