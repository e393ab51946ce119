import { browserApi } from '../../browser-api.ts';
import type { ExtensionMessage } from '../../challenge/extension-messages.ts';
import { gatherFacts } from '../../diagnostics/browser-facts.ts';
import { detailsAsText } from '../../diagnostics/details.ts';
import { type Diagnosis, diagnose, diagnosisOfFailure } from '../../diagnostics/diagnose.ts';
import { readManagedStorage } from '../../managed-config/read-managed-storage.ts';
import { messageOf } from '../../native-host/browser-errors.ts';
import { createNativeHost } from '../../native-host/native-host.ts';
import { showInToolbar } from '../../toolbar/show-in-toolbar.ts';
import { elementOf, showChecking, showCopied, showDiagnosis } from './show-diagnosis.ts';

const host = createNativeHost(browserApi.runtime, () => crypto.randomUUID());
const patienceMs = 2_000;
let latest: Diagnosis | undefined;
let begun = 0;
/** The oldest look whose outcome is still worth showing. */
let wanted = 1;

/** Looks at everything and shows it, unless the outcome of a later look is there, or only a later one is wanted. */
async function check(): Promise<void> {
  begun += 1;
  const look = begun;
  const diagnosis = await diagnosisNow();
  if (look < wanted) return;
  wanted = look;
  latest = diagnosis;
  showDiagnosis(document, diagnosis);
  await showInToolbar(browserApi.action, diagnosis).catch((error: unknown) =>
    console.warn(`the toolbar shows what it showed before: ${messageOf(error)}`),
  );
}

async function diagnosisNow(): Promise<Diagnosis> {
  try {
    const facts = await gatherFacts(browserApi, host, new Date());
    // Policy that has not changed since the last start arrives without an event.
    if (facts.managedStorage.state === 'pending') {
      void readManagedStorage(browserApi.storage).then(check);
    }
    return diagnose(facts);
  } catch (error) {
    return diagnosisOfFailure(messageOf(error));
  }
}

async function checkAgain(): Promise<void> {
  showChecking(document);
  wanted = begun + 1;
  const message: ExtensionMessage = { type: 'synchronize' };
  // Should the background not answer, or wait for a policy that is held back, the facts show what that left undone.
  await Promise.race([
    browserApi.runtime.sendMessage(message).catch(() => undefined),
    new Promise((resolve) => setTimeout(resolve, patienceMs)),
  ]);
  await check();
}

async function copyDetails(): Promise<void> {
  if (latest === undefined) return;
  const copied = await navigator.clipboard
    .writeText(detailsAsText(latest.headline, latest.details))
    .then(() => true)
    .catch(() => false);
  showCopied(document, copied);
}

elementOf(document, 'check-again').addEventListener('click', () => void checkAgain());
elementOf(document, 'copy-details').addEventListener('click', () => void copyDetails());
// Policy that arrives while the popup is open, and what the background makes of it.
browserApi.storage.onChanged.addListener(() => void check());
void check();
