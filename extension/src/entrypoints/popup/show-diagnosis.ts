import type { Detail } from '../../diagnostics/details.ts';
import type { Diagnosis } from '../../diagnostics/diagnose.ts';
import type { DiagnosisState } from '../../diagnostics/finding.ts';

/** Colour is never the only signal: each state has its own stroke and its own word. */
const looks: Readonly<Record<DiagnosisState | 'checking', { stroke: string; label: string }>> = {
  ready: { stroke: 'M6 10.4l2.8 2.8L14.2 7.6', label: 'Ready' },
  development: { stroke: 'M6 10.4l2.8 2.8L14.2 7.6', label: 'Test setup' },
  attention: { stroke: 'M10 5.4v5.4M10 14.3v.1', label: 'Needs attention' },
  not_ready: { stroke: 'M6.8 6.8l6.4 6.4M13.2 6.8l-6.4 6.4', label: 'Not trusted' },
  checking: { stroke: 'M6 10h.1M10 10h.1M14 10h.1', label: 'Checking' },
};

const whoFixesItTexts: Readonly<Record<Diagnosis['whoFixesIt'], string>> = {
  nobody: '',
  you: 'You',
  it_support: 'Your IT support',
};

export function elementOf(page: Document, id: string): HTMLElement {
  const element = page.getElementById(id);
  if (element === null) throw new Error(`the popup has no element ${id}`);
  return element;
}

/** Until the answer is known. What was said before stays to be read. */
export function showChecking(page: Document): void {
  setState(page, 'checking');
  showCopied(page, undefined);
}

/** On the button for those who see it, beside it for those who hear it. */
export function showCopied(page: Document, copied: boolean | undefined): void {
  const outcome = copied ? 'Copied' : 'Not copied';
  elementOf(page, 'copied').textContent = copied === undefined ? '' : outcome;
  elementOf(page, 'copy-details').textContent = copied === undefined ? 'Copy details' : outcome;
}

export function showDiagnosis(page: Document, diagnosis: Diagnosis): void {
  const { state, headline, explanation, whoFixesIt, nextStep, summary, details } = diagnosis;
  elementOf(page, 'headline').textContent = headline;
  elementOf(page, 'explanation').textContent = explanation;
  const steps = [
    { label: 'Who can fix this', value: whoFixesItTexts[whoFixesIt] },
    { label: 'Next step', value: nextStep },
  ].filter(({ value }) => value !== '');
  showRows(page, 'card', steps.length === 0 ? summary : steps);
  elementOf(page, 'card').className = steps.length === 0 ? 'facts' : 'steps';
  showRows(page, 'details', details);
  page.body.dataset.next = whoFixesIt;
  setState(page, state);
}

function showRows(page: Document, id: string, rows: readonly Detail[]): void {
  const elements = rows.map(({ label, value }) => {
    // A group keeps a name and its value together for those who hear the page.
    const group = page.createElement('div');
    const term = page.createElement('dt');
    term.textContent = label;
    const description = page.createElement('dd');
    description.textContent = value;
    group.append(term, description);
    return group;
  });
  elementOf(page, id).replaceChildren(...elements);
}

function setState(page: Document, state: DiagnosisState | 'checking'): void {
  page.body.dataset.state = state;
  elementOf(page, 'sign-stroke').setAttribute('d', looks[state].stroke);
  elementOf(page, 'state-label').textContent = looks[state].label;
  elementOf(page, 'finding').setAttribute('aria-busy', String(state === 'checking'));
}
